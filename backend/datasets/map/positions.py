"""What a map is made of: which pictures it has, and where they lie. Kept beside the features, one file a dataset."""

import os
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Final

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from backend.datasets.examine.embeddings import Embeddings, embeddings_file, maps_folder, read_embeddings
from backend.domain.projection import Positions, principal_view

_REMEMBERED: Final = 4


class View(StrEnum):
    """By what pictures are arranged."""

    COMPONENTS = "components"
    NEIGHBOURS = "neighbours"


@dataclass(frozen=True)
class MapSource:
    """The pictures of a map.

    Attributes:
        key: changes with the pictures and with their features.
        image_ids: N ids, in the order of all positions.
        components: (N, 2) positions along the two main directions of the features.
    """

    key: str
    image_ids: tuple[str, ...]
    components: Positions


def map_source(folder: Path, dataset_id: str) -> MapSource | None:
    """The pictures of a dataset's map; None where none was examined yet. ``folder`` is that of the features."""
    try:
        stamp = (str(folder), dataset_id, embeddings_file(folder, dataset_id).stat().st_mtime_ns)
    except OSError:
        return None
    with _lock:
        if (known := _sources.get(stamp)) is not None:
            return known
    if (embeddings := read_embeddings(folder, dataset_id)) is None or not embeddings.image_ids:
        return None
    found = MapSource(key_of(embeddings), embeddings.image_ids, principal_view(embeddings.values))
    with _lock:
        _sources[stamp] = found
        while len(_sources) > _REMEMBERED:
            _sources.popitem(last=False)
    return found


def key_of(embeddings: Embeddings) -> str:
    """What the map of these embeddings is called."""
    digest = blake2b("".join(embeddings.image_ids).encode("ascii"), digest_size=12)
    digest.update(np.ascontiguousarray(embeddings.values).data)
    return digest.hexdigest()


def read_neighbours(folder: Path, dataset_id: str, source: MapSource) -> Positions | None:
    """(N, 2) positions by similarity; None where none are kept for just these pictures."""
    try:
        with safe_open(positions_file(folder, dataset_id), framework="np") as file:
            if (file.metadata() or {}).get("key") != source.key:
                return None
            positions: Positions = file.get_tensor("positions")
    except (OSError, SafetensorError, ValueError):
        return None
    is_sound = positions.shape == (len(source.image_ids), 2) and positions.dtype == np.float32
    return positions if is_sound and bool(np.isfinite(positions).all()) else None


def write_neighbours(folder: Path, dataset_id: str, key: str, positions: Positions) -> None:
    """Keep positions in place of earlier ones; a reader sees the old ones or the new ones, never a mixture."""
    file = positions_file(folder, dataset_id)
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent)
    os.close(descriptor)
    partial = Path(name)
    try:
        save_file({"positions": np.ascontiguousarray(positions)}, partial, {"key": key})
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def positions_file(folder: Path, dataset_id: str) -> Path:
    """Where the positions of a dataset's pictures are, or will be, in the folder of features."""
    return maps_folder(folder) / f"{dataset_id}.safetensors"


_sources: OrderedDict[tuple[str, str, int], MapSource] = OrderedDict()
_lock = threading.Lock()
