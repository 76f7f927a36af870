"""Each picture of a dataset as a short vector: those of alike pictures have a large product."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from backend.storage.local import write_file

_FOLDER: Final = "embeddings"


@dataclass(frozen=True, slots=True)
class Embeddings:
    """The pictures of a dataset as vectors.

    Attributes:
        image_ids: N ids.
        values: (N, D) float32, D at most 128, rows of length 1.
    """

    image_ids: tuple[str, ...]
    values: NDArray[np.float32]


def embeddings_file(folder: Path, dataset_id: str) -> Path:
    """Where the embeddings of a dataset are, or will be, in the folder of features."""
    return folder / _FOLDER / f"{dataset_id}.safetensors"


def read_embeddings(folder: Path, dataset_id: str) -> Embeddings | None:
    """A dataset's embeddings in the folder of features; None where there are none, or they are damaged."""
    try:
        tensors = safetensors.numpy.load(embeddings_file(folder, dataset_id).read_bytes())
        ids = tuple(bytes(row).decode("ascii") for row in tensors["ids"])
        values = tensors["values"].astype(np.float32)
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    return Embeddings(ids, values) if values.shape[:1] == (len(ids),) else None


def write_embeddings(folder: Path, dataset_id: str, embeddings: Embeddings) -> None:
    """Replace a dataset's embeddings, whole or not at all."""
    ids = np.frombuffer("".join(embeddings.image_ids).encode("ascii"), dtype=np.uint8)
    tensors = {
        "ids": ids.reshape(len(embeddings.image_ids), -1),
        "values": embeddings.values.astype(np.float16),
    }
    file = embeddings_file(folder, dataset_id)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_file(file, safetensors.numpy.save(tensors))
