"""Features of a dataset's pictures, as the job that examines them keeps them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

_ID_LETTERS: Final = 36


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Features of N pictures.

    Attributes:
        image_ids: N ids, in the order of the rows.
        values: (N, D) float, D at most 128; rows have length 1.
    """

    image_ids: tuple[str, ...]
    values: NDArray[np.float32]


def read_embeddings(folder: Path, dataset_id: str) -> Embeddings | None:
    """The features of a dataset's pictures; None where there are none (yet), or their file is damaged."""
    try:
        tensors = load_file(folder / "embeddings" / f"{dataset_id}.safetensors")
    except (OSError, SafetensorError, ValueError):
        return None
    ids, values = tensors.get("ids"), tensors.get("values")
    if ids is None or values is None or ids.ndim != 2 or values.ndim != 2 or len(ids) != len(values):
        return None
    if ids.shape[1] > _ID_LETTERS or ids.dtype != np.uint8:
        return None
    names = tuple(bytes(row).rstrip(b"\0 ").decode("ascii", "replace") for row in ids)
    return Embeddings(names, values.astype(np.float32))
