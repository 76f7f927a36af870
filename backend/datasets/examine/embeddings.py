"""Embeddings of a dataset's pictures, as the examination leaves them: their cosine says how alike pictures are."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

MAX_DIMENSIONS: Final = 128
_ID_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Embeddings of N images.

    Attributes:
        image_ids: their ids, in the order of the rows.
        values: (N, D) with D <= ``MAX_DIMENSIONS``; rows of length 1.
    """

    image_ids: tuple[str, ...]
    values: NDArray[np.float32]

    def values_of(self, image_ids: Sequence[str]) -> NDArray[np.float32]:
        """(M, D) the embeddings of these images, in their order; zeros where there are none."""
        row_of = {image_id: row for row, image_id in enumerate(self.image_ids)}
        values = np.zeros((len(image_ids), self.values.shape[1]), dtype=np.float32)
        known = [(index, row_of[image_id]) for index, image_id in enumerate(image_ids) if image_id in row_of]
        if known:
            indices, rows = np.array(known).T
            values[indices] = self.values[rows]
        return values


def read_embeddings(folder: Path, dataset_id: str) -> Embeddings | None:
    """The embeddings that were written last; None where there are none or their file is damaged."""
    try:
        tensors = load_file(embeddings_file(folder, dataset_id))
        ids, values = tensors["ids"], tensors["values"]
        is_sound = ids.dtype == np.uint8 and ids.shape == (len(values), _ID_LENGTH) and values.ndim == 2
        if not is_sound or not np.isfinite(values).all():
            return None
        image_ids = tuple(bytes(row).decode("ascii") for row in ids)
    except (OSError, SafetensorError, KeyError, UnicodeDecodeError, ValueError):
        return None
    return Embeddings(image_ids, unit_rows(values.astype(np.float32)))


def write_embeddings(folder: Path, dataset_id: str, embeddings: Embeddings) -> None:
    """Keep embeddings in place of earlier ones; a reader sees the old ones or the new ones, never a mixture."""
    count, dimensions = embeddings.values.shape
    assert len(embeddings.image_ids) == count, "a row for each image"
    assert dimensions <= MAX_DIMENSIONS, dimensions
    ids = np.frombuffer("".join(embeddings.image_ids).encode("ascii"), dtype=np.uint8).reshape(count, _ID_LENGTH)
    file = embeddings_file(folder, dataset_id)
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent)
    os.close(descriptor)
    partial = Path(name)
    try:
        save_file({"ids": ids.copy(), "values": embeddings.values.astype(np.float16)}, partial)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def unit_rows(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, D) rows made one long; rows of zeros stay so."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    found: NDArray[np.float32] = np.divide(values, lengths, out=np.zeros_like(values), where=lengths > 0)
    return found


def embeddings_file(folder: Path, dataset_id: str) -> Path:
    """Where the embeddings of a dataset are, or will be, in the folder of features."""
    return embeddings_folder(folder) / f"{dataset_id}.safetensors"


def embeddings_folder(folder: Path) -> Path:
    """Where the embeddings of all datasets are in the folder of features."""
    return folder / "embeddings"


def maps_folder(folder: Path) -> Path:
    """Where the maps that are made of embeddings are in the folder of features."""
    return folder / "maps"
