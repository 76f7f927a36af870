"""Metadata of exported files: all that a program needs that has nothing but the file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from backend.domain.json import Json
from backend.imaging.preprocessing import Preprocessing

_HEADER_LENGTH: Final = 8
"""Bytes at the front of a safetensors file that hold the length of its JSON header."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How ONNX Runtime's answers compare with torch's on real images.

    Attributes:
        max_difference: largest difference of a probability.
        agreement: share of the images given the same class, in [0, 1].
    """

    max_difference: float
    agreement: float
    images: int

    def to_json(self) -> dict[str, float]:
        """As written into ``parity.json`` and into exported files."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts about a model that its exported files carry.

    Attributes:
        architecture: name in the catalogue.
        classes: K names in the order of the outputs.
    """

    architecture: str
    classes: tuple[str, ...]
    preprocessing: Preprocessing


def onnx_metadata(facts: ModelFacts, parity: Parity | None = None) -> dict[str, str]:
    """Metadata of the ONNX file, which normalises its input itself.

    ``names``, ``imgsz`` and ``task`` are written as Ultralytics writes them.
    """
    size = facts.preprocessing.size
    described = facts.preprocessing.to_json()
    inside = {name: described.pop(name) for name in ("mean", "std")}
    described |= {
        "input": {"name": "images", "layout": "NCHW", "shape": ["N", 3, size, size], "dtype": "float32"},
        "normalised_by_model": True,
        "inside_model": inside | {"softmax": True},
    }
    last = (
        f"Divide the pixels by 255 and arrange them as float32 (N, 3, {size}, {size}), channels R, G, B. "
        "Do not subtract a mean or divide by a standard deviation: the model does that itself.",
        "The output “probabilities” is (N, K) and sums to 1 per image; do not apply softmax. "
        "Column k belongs to entry k of “classes”.",
    )
    return {
        "task": "classify",
        "names": str(dict(enumerate(facts.classes))),
        "imgsz": str([size, size]),
        **_common(facts, parity),
        "preprocessing": _json(described),
        "usage": _json([*facts.preprocessing.instructions(), *last]),
    }


def safetensors_metadata(facts: ModelFacts, head: Mapping[str, Json], parity: Parity) -> dict[str, str]:
    """Metadata of the weights file, whose network wants normalised input and answers logits."""
    size = facts.preprocessing.size
    described = facts.preprocessing.to_json() | {
        "input": {"layout": "NCHW", "shape": ["N", 3, size, size], "dtype": "float32"},
        "normalised_by_model": False,
    }
    last = (
        f"Divide the pixels by 255, subtract “mean”, divide by “std” (per channel) "
        f"and arrange them as float32 (N, 3, {size}, {size}), channels R, G, B.",
        "The network answers logits (N, K); softmax makes them probabilities. "
        "Column k belongs to entry k of “classes”.",
    )
    return {
        # As the libraries that write safetensors from torch do.
        "format": "pt",
        **_common(facts, parity),
        "head": _json(head),
        "preprocessing": _json(described),
        "usage": _json([*facts.preprocessing.instructions(), *last]),
    }


def with_safetensors_metadata(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """The safetensors file with this metadata; equal input gives equal bytes.

    The library writes metadata in random order, and equal trainings are to give equal files.
    """
    data = _HEADER_LENGTH + int.from_bytes(content[:_HEADER_LENGTH], "little")
    header = {"__metadata__": dict(sorted(metadata.items()))} | json.loads(content[_HEADER_LENGTH:data])
    encoded = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    return len(encoded).to_bytes(_HEADER_LENGTH, "little") + encoded + content[data:]


def _common(facts: ModelFacts, parity: Parity | None) -> dict[str, str]:
    known = {"architecture": facts.architecture, "classes": _json(list(facts.classes))}
    return known if parity is None else known | {"parity": _json(parity.to_json())}


def _json(content: Json) -> str:
    return json.dumps(content, ensure_ascii=False)
