"""Model files that carry what was chosen about confidence: the ONNX file answers with it, each file describes it."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from backend.domain.confidence.settings import ConfidenceSettings
from backend.domain.confidence.strangeness import NEIGHBOURS, ClassDistances, Measure, NearestPictures
from backend.domain.json import Json
from backend.training.confidence.onnx_graph import (
    DOC,
    GRAPH,
    METADATA,
    NODE,
    NODE_OUTPUT,
    constant,
    metadata,
    node,
    output_of_rows,
)
from backend.training.confidence.protobuf import Field, fields, text, written

STRANGENESS: Final = "strangeness"
_ANSWER: Final = "probabilities"
_PLAIN: Final = "confidence/plain"
_HEADER_LENGTH: Final = 8
"""Bytes at the front of a safetensors file that hold the length of its JSON header."""
_PREFIX: Final = "confidence/"


def onnx_with(
    content: bytes,
    settings: ConfidenceSettings,
    measure: Measure | None,
    parity: Mapping[str, Json] | None = None,
) -> bytes:
    """An ONNX file whose ``probabilities`` have the temperature; with a limit of strangeness, it is a second output.

    Args:
        measure: what strangeness is measured by; not used without a limit.
        parity: how its answers compare, to be written into it.

    Raises:
        MessageBroken: it is no ONNX file.
    """
    with_strangeness = measure if settings.strangeness_limit is not None else None
    known = _metadata(content)
    changed = {
        "confidence": json.dumps(settings.to_json(), ensure_ascii=False),
        "usage": json.dumps([*json.loads(known.get("usage", "[]")), *usage_of_onnx(settings)], ensure_ascii=False),
    }
    if parity is not None:
        changed["confidence_parity"] = json.dumps(dict(parity))
    return written(_model(content, settings, with_strangeness, changed))


def _model(
    content: bytes, settings: ConfidenceSettings, measure: Measure | None, changed: Mapping[str, str]
) -> Iterator[Field]:
    for field in fields(content):
        if field.number == GRAPH:
            assert isinstance(field.value, bytes)
            yield Field(GRAPH, written(_graph(field.value, settings, measure)))
        elif field.number == METADATA and _line(field)[0] in changed:
            continue
        elif field.number == DOC:
            yield text(DOC, "\n".join(json.loads(changed["usage"])))
        else:
            yield field
    yield from (metadata(key, value) for key, value in sorted(changed.items()))


def _graph(content: bytes, settings: ConfidenceSettings, measure: Measure | None) -> Iterator[Field]:
    for field in fields(content):
        is_answer = field.number == NODE and settings.temperature is not None and _makes_answer(field)
        yield Field(NODE, written(_renamed(field))) if is_answer else field
    if settings.temperature is not None:
        # As ``with_temperature`` does: the softmax of the logits divided by it.
        yield node("Pow", [_PLAIN, f"{_PREFIX}exponent"], f"{_PREFIX}powers")
        yield node("ReduceSum", [f"{_PREFIX}powers", f"{_PREFIX}last"], f"{_PREFIX}sums", keepdims=1)
        yield node("Div", [f"{_PREFIX}powers", f"{_PREFIX}sums"], _ANSWER)
        yield constant(f"{_PREFIX}exponent", np.array(1 / settings.temperature, dtype=np.float32))
        yield constant(f"{_PREFIX}last", np.array([1], dtype=np.int64))
    if measure is not None:
        yield from _strangeness(measure)
        yield output_of_rows(STRANGENESS)


def _strangeness(measure: Measure) -> Iterator[Field]:
    """Nodes that do as ``Measure.of`` does, from the tensor ``features``."""
    yield constant(f"{_PREFIX}tiny", np.array(np.finfo(np.float32).tiny))
    yield node("ReduceL2", ["features"], f"{_PREFIX}length", axes=[1], keepdims=1)
    yield node("Max", [f"{_PREFIX}length", f"{_PREFIX}tiny"], f"{_PREFIX}divisor")
    yield node("Div", ["features", f"{_PREFIX}divisor"], f"{_PREFIX}unit")
    match measure:
        case ClassDistances():
            yield from _by_class(measure)
        case NearestPictures():
            yield from _by_nearest(measure)


def _by_class(measure: ClassDistances) -> Iterator[Field]:
    tensors = {
        "centre": measure.centre,
        "directions": measure.directions,
        "within": measure.within,
        "overall": measure.overall,
        "means": -2 * measure.means.T,
        "means-squared": (measure.means**2).sum(axis=1),
        "dimensions": np.array(float(measure.directions.shape[1])),
    }
    yield from (constant(_PREFIX + name, values) for name, values in tensors.items())
    steps: list[tuple[str, list[str], str, dict[str, int | list[int]]]] = [
        ("Sub", ["unit", "centre"], "centred", {}),
        ("MatMul", ["centred", "directions"], "reduced", {}),
        ("MatMul", ["reduced", "within"], "turned", {}),
        ("ReduceSumSquare", ["turned"], "own", {"axes": [1], "keepdims": 1}),
        ("MatMul", ["turned", "means"], "crossed", {}),
        ("Add", ["own", "crossed"], "sums-of-two", {}),
        ("Add", ["sums-of-two", "means-squared"], "squares", {}),
        ("ReduceMin", ["squares"], "nearest", {"axes": [1], "keepdims": 0}),
        ("MatMul", ["reduced", "overall"], "turned-overall", {}),
        ("ReduceSumSquare", ["turned-overall"], "background", {"axes": [1], "keepdims": 0}),
        ("Sub", ["nearest", "background"], "relative", {}),
    ]
    for kind, given, output, attributes in steps:
        yield node(kind, [_PREFIX + name for name in given], _PREFIX + output, **attributes)
    yield node("Div", [f"{_PREFIX}relative", f"{_PREFIX}dimensions"], STRANGENESS)


def _by_nearest(measure: NearestPictures) -> Iterator[Field]:
    yield constant(f"{_PREFIX}known", measure.known.T)
    yield constant(f"{_PREFIX}k", np.array([min(NEIGHBOURS, len(measure.known))], dtype=np.int64))
    yield constant(f"{_PREFIX}one", np.array(1.0))
    yield node("MatMul", [f"{_PREFIX}unit", f"{_PREFIX}known"], f"{_PREFIX}cosines")
    yield node("TopK", [f"{_PREFIX}cosines", f"{_PREFIX}k"], f"{_PREFIX}best", f"{_PREFIX}places", axis=1)
    yield node("ReduceMin", [f"{_PREFIX}best"], f"{_PREFIX}kth", axes=[1], keepdims=0)
    yield node("Sub", [f"{_PREFIX}one", f"{_PREFIX}kth"], STRANGENESS)


def _makes_answer(field: Field) -> bool:
    assert isinstance(field.value, bytes)
    # Most nodes needn't be read for that.
    return _ANSWER.encode() in field.value and Field(NODE_OUTPUT, _ANSWER.encode()) in fields(field.value)


def _renamed(field: Field) -> Iterator[Field]:
    assert isinstance(field.value, bytes)
    for part in fields(field.value):
        yield text(NODE_OUTPUT, _PLAIN) if part == (NODE_OUTPUT, _ANSWER.encode(), part.wire) else part


def _metadata(content: bytes) -> dict[str, str]:
    return dict(_line(field) for field in fields(content) if field.number == METADATA)


def _line(field: Field) -> tuple[str, str]:
    assert isinstance(field.value, bytes)
    found = {part.number: part.value for part in fields(field.value)}
    key, value = found.get(1, b""), found.get(2, b"")
    assert isinstance(key, bytes)
    assert isinstance(value, bytes)
    return key.decode(), value.decode()


def safetensors_with(content: bytes, settings: ConfidenceSettings, parity: Mapping[str, Json] | None = None) -> bytes:
    """A safetensors file whose metadata says what was chosen; its tensors stay as they are."""
    data = _HEADER_LENGTH + int.from_bytes(content[:_HEADER_LENGTH], "little")
    header = json.loads(content[_HEADER_LENGTH:data])
    known: dict[str, str] = header.pop("__metadata__", {})
    usage = [*json.loads(known.get("usage", "[]")), *usage_of_weights(settings)]
    known |= {
        "confidence": json.dumps(settings.to_json(), ensure_ascii=False),
        "usage": json.dumps(usage, ensure_ascii=False),
    }
    if parity is not None:
        known["confidence_parity"] = json.dumps(dict(parity))
    encoded = json.dumps({"__metadata__": dict(sorted(known.items()))} | header, ensure_ascii=False).encode()
    encoded += b" " * (-len(encoded) % 8)
    return len(encoded).to_bytes(_HEADER_LENGTH, "little") + encoded + content[data:]


def usage_of_onnx(settings: ConfidenceSettings) -> list[str]:
    """Sentences for programmers about the outputs of the ONNX file."""
    lines = []
    if settings.temperature is not None:
        lines.append(f"“probabilities” already has the temperature {settings.temperature:.4g}; do not apply it again.")
    if settings.strangeness_limit is not None:
        lines.append(
            f"The second output “{STRANGENESS}” is (N,): where it is above {settings.strangeness_limit:.6g}, "
            "the picture is like nothing that the model was shown, whatever the probabilities are."
        )
    return lines + _about_thresholds(settings)


def usage_of_weights(settings: ConfidenceSettings) -> list[str]:
    """Sentences for programmers about the logits of the network."""
    lines = []
    if settings.temperature is not None:
        lines.append(f"Divide the logits by the temperature {settings.temperature:.4g} before the softmax.")
    if settings.strangeness_limit is not None:
        lines.append("How strange a picture is can't be computed from this file; the ONNX file has it as an output.")
    return lines + _about_thresholds(settings)


def _about_thresholds(settings: ConfidenceSettings) -> list[str]:
    if settings.threshold is None and not settings.class_thresholds:
        return []
    limits = [f"“{name}”: {limit:g}" for name, limit in sorted(settings.class_thresholds.items())]
    of_all = f"{settings.threshold:g}" if settings.threshold is not None else "0"
    words = f"Answer only where the largest probability is at least {of_all}"
    return [f"{words}{' (' + ', '.join(limits) + ')' if limits else ''}; otherwise say that the model isn't sure."]
