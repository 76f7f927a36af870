"""The answers of a checkpoint as they were written when it was tested, every class among them."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from backend.domain.ids import ImageId
from backend.domain.manifest import Split


def stored_answers(folder: Path, split: Split, image_id: ImageId) -> Mapping[str, float]:
    """Every class's probability for a test picture, the likeliest first; empty where the files aren't there."""
    name = "predictions" if split is Split.VALID else f"predictions-{split}"
    try:
        written = json.loads((folder / f"{name}.json").read_bytes())
        row = written["image_ids"].index(image_id)
        with safe_open(folder / f"{name}.safetensors", framework="numpy") as file:
            probabilities = file.get_slice("probabilities")[row : row + 1][0].tolist()
        ranked = sorted(zip(written["classes"], probabilities, strict=True), key=lambda pair: -pair[1])
    except (OSError, ValueError, KeyError, SafetensorError):
        return {}
    return dict(ranked)
