"""Nodes, constants and outputs of an ONNX graph, as fields of its protobuf message (onnx/onnx.proto)."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from backend.training.confidence.protobuf import Field, message, number, text

GRAPH, DOC, METADATA = 7, 6, 14  # ModelProto
NODE, CONSTANT, OUTPUT = 1, 5, 12  # GraphProto
NODE_OUTPUT: Final = 2
VALUE_NAME: Final = 1  # ValueInfoProto
_FLOAT, _INT64 = 1, 7
_INT, _INTS = 2, 7  # AttributeProto.AttributeType


def node(kind: str, given: list[str], *outputs: str, **attributes: int | list[int]) -> Field:
    """A node with these inputs and outputs."""
    return message(
        NODE,
        [
            *(text(1, name) for name in given),
            *(text(NODE_OUTPUT, name) for name in outputs),
            text(4, kind),
            *(_attribute(name, value) for name, value in attributes.items()),
        ],
    )


def _attribute(name: str, value: int | list[int]) -> Field:
    if isinstance(value, list):
        return message(5, [text(1, name), *(number(8, one) for one in value), number(20, _INTS)])
    return message(5, [text(1, name), number(3, value), number(20, _INT)])


def constant(name: str, values: NDArray[Any]) -> Field:  # Any: float32 or int64
    """A constant tensor."""
    kind = _INT64 if values.dtype == np.int64 else _FLOAT
    whole = np.ascontiguousarray(values if kind == _INT64 else values.astype(np.float32))
    dimensions = [number(1, size) for size in values.shape]
    return message(CONSTANT, [*dimensions, number(2, kind), text(8, name), Field(9, whole.tobytes())])


def output_of_rows(name: str) -> Field:
    """An output of (N,) float32."""
    shape = message(2, [message(1, [text(2, "N")])])
    return message(OUTPUT, [text(VALUE_NAME, name), message(2, [message(1, [number(1, _FLOAT), shape])])])


def metadata(key: str, value: str) -> Field:
    """A line of a model's metadata."""
    return message(METADATA, [text(1, key), text(2, value)])
