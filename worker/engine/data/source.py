"""Decoded and resized images, kept in a file from epoch to epoch, and the preprocessing before the network."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from backend.domain.errors import NotFound
from backend.domain.ids import Digest
from backend.domain.manifest import ManifestImage
from backend.domain.training import TrainingConfig
from backend.imaging.decoding import decode_near
from backend.imaging.errors import UnreadableImage
from backend.imaging.preprocessing import Preprocessing, resized
from worker.engine.order import OpenBytes

CACHE_BYTES: Final = 1_500_000_000
"""Resized pixels kept from epoch to epoch; what doesn't fit is decoded each time."""


def preprocessing_of(config: TrainingConfig, *, image_size: int | None = None) -> Preprocessing:
    """The preprocessing that a network's weights want; at a stage's own size where it has one."""
    size = image_size or config.image_size
    return Preprocessing(
        size=size,
        resize_to=round(size / config.crop_share),
        mean=config.entry.mean,
        std=config.entry.std,
    )


def to_input(pixels: Tensor, preprocessing: Preprocessing, device: torch.device) -> Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) float32 normalised, channels last, on the device.

    The same numbers as ``backend.imaging.preprocessing.normalise``.
    """
    mean, std = _normal(preprocessing, device)
    scaled = pixels.to(device, non_blocking=True).float() / 255
    return ((scaled - mean) / std).permute(0, 3, 1, 2)


@cache
def _normal(preprocessing: Preprocessing, device: torch.device) -> tuple[Tensor, Tensor]:
    # Kept: bringing even three numbers to a GPU anew for each batch would wait for all steps queued there.
    return torch.tensor(preprocessing.mean, device=device), torch.tensor(preprocessing.std, device=device)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An image that can't be used, and why."""

    image: ManifestImage
    reason: str


class ImageSource:
    """Resized images by digest: from the cache file where they are in it, else decoded.

    Made to be sent to loader processes: the cache is a file that each of them maps.
    """

    def __init__(self, open_bytes: OpenBytes, preprocessing: Preprocessing) -> None:
        self.open_bytes = open_bytes
        self.preprocessing = preprocessing
        self._file: Path | None = None
        self._entries: dict[Digest, tuple[int, int, int]] = {}  # offset, height, width
        self._map: np.memmap[Any, np.dtype[np.uint8]] | None = None

    def __getstate__(self) -> dict[str, Any]:  # Any: what pickle takes
        # A mapping would be sent as a copy of all its bytes.
        return {**self.__dict__, "_map": None}

    def resized(self, image: ManifestImage) -> Image.Image | Unreadable:
        """The upright image with the short side that the network's preprocessing wants."""
        if image.digest in self._entries:
            return self._cached(image.digest)
        try:
            return resized(
                decode_near(self.open_bytes(image.digest), self.preprocessing.resize_to, is_accepted=True),
                self.preprocessing,
            )
        except UnreadableImage as error:
            return Unreadable(image, error.message)
        except (FileNotFoundError, NotFound):
            return Unreadable(image, "its file is missing from the storage")

    def fill_cache(self, images: Sequence[ManifestImage], folder: Path) -> Iterator[tuple[int, list[Unreadable]]]:
        """Decode all images once, yielding how many are done and which of these are unreadable.

        Ends early when the cache is full.
        """
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix="pixels-", suffix=".cache")
        self._file = Path(name)
        done, offset = 0, 0
        # Pillow lets go of Python's lock while it decodes and resizes, so threads do.
        workers = min(4, os.cpu_count() or 1)
        with os.fdopen(descriptor, "wb") as file, ThreadPoolExecutor(workers) as pool:
            while done < len(images) and offset < CACHE_BYTES:
                chunk = images[done : done + 4 * workers]
                unreadable, fresh = [], {}
                for image, answer in zip(chunk, pool.map(self.resized, chunk), strict=True):
                    if isinstance(answer, Unreadable):
                        unreadable.append(answer)
                        continue
                    fresh[image.digest] = (offset, answer.height, answer.width)
                    offset += file.write(answer.tobytes())
                # Only what has reached the file may be read back from it.
                file.flush()
                self._entries.update(fresh)
                done += len(chunk)
                yield done, unreadable

    def close(self) -> None:
        """Remove the cache file."""
        self._map = None
        self._entries = {}
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def _cached(self, digest: Digest) -> Image.Image:
        if self._map is None or self._entries[digest][0] >= len(self._map):
            assert self._file is not None, "there are entries only after fill_cache"
            self._map = np.memmap(self._file, dtype=np.uint8, mode="r")
        offset, height, width = self._entries[digest]
        return Image.fromarray(self._map[offset : offset + height * width * 3].reshape(height, width, 3))
