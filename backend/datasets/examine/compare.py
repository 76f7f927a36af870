"""Search a dataset's new pictures for copies of each other and of older ones, and write down what was found."""

import io
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.datasets.examine.alignment import SIDE, small_grey
from backend.datasets.examine.comparison_repository import ComparisonRepository, MeasuredImage, NewPair
from backend.datasets.examine.copies import Pictures, find_pairs
from backend.datasets.examine.embeddings import Embeddings
from backend.datasets.examine.near import typical_distance
from backend.datasets.images import thumbnail
from backend.datasets.pictures.limits import BLANK_ENTROPY
from backend.datasets.repository import DatasetRepository
from backend.db.session import WriteSession
from backend.domain.errors import AppError
from backend.imaging.pool import DecodingPool, decoding_pool
from backend.imaging.thumbnails import GRID
from backend.ledger.unit_of_work import OpenUnit
from backend.storage.base import Storage

_NEW_AT_ONCE: Final = 4_096
"""New pictures that are compared before what was found is written down."""
_READ_AT_ONCE: Final = 10_000
_EPOCH: Final = datetime(1970, 1, 1)  # cameras know no zone


def compare(
    open_unit: OpenUnit,
    storage: Storage,
    dataset_id: str,
    embeddings: Embeddings | None,
    *,
    fence: Callable[[WriteSession], None],
    should_stop: Callable[[], bool],
    decoders: DecodingPool | None = None,
) -> None:
    """Write down the pairs of pictures that show the same, for pictures that were not compared yet against all.

    It goes on where it was broken off. Without embeddings only hashes bring pictures together, so that crops and
    moments are missed; whoever computes embeddings later sets ``compared_until`` to None for them to be found.

    Args:
        fence: called inside every transaction; raises where another attempt has taken over.
        should_stop: asked before each few thousand pictures.
        decoders: where lost thumbnails are made anew; None for those of this process.

    Raises:
        DatasetNotFound
    """
    images, until = _images(open_unit, dataset_id, fence)
    pictures = _pictures(images, embeddings)
    typical = None if pictures.values is None else typical_distance(pictures.values)
    start = 0 if until is None else sum(image.id <= until for image in images)

    def greys(positions: Sequence[int]) -> NDArray[np.uint8]:
        return np.stack([_grey(storage, decoders or decoding_pool(), images[position]) for position in positions])

    for new in range(start, len(images), _NEW_AT_ONCE):
        if should_stop():
            return
        stop = min(len(images), new + _NEW_AT_ONCE)
        found = find_pairs(pictures.part(0, stop), new, greys, typical)
        pairs = [
            NewPair(images[pair.first].id, images[pair.second].id, pair.kind, round(pair.score, 4)) for pair in found
        ]
        with open_unit() as unit:
            fence(unit.session)
            # Whoever deletes pictures waits, so that no pair names one that has just gone.
            DatasetRepository(unit.session).lock(dataset_id)
            ComparisonRepository(unit.session, dataset_id).add_pairs(pairs, images[stop - 1].id)


def _images(
    open_unit: OpenUnit, dataset_id: str, fence: Callable[[WriteSession], None]
) -> tuple[list[MeasuredImage], str | None]:
    images: list[MeasuredImage] = []
    while True:
        with open_unit() as unit:
            fence(unit.session)
            repository = ComparisonRepository(unit.session, dataset_id)
            part = repository.measured(limit=_READ_AT_ONCE, after=images[-1].id if images else "")
            until = repository.compared_until()
        images += part
        if len(part) < _READ_AT_ONCE:
            return images, until


def _pictures(images: Sequence[MeasuredImage], embeddings: Embeddings | None) -> Pictures:
    return Pictures(
        paths=[image.path for image in images],
        pixels=[image.pixels for image in images],
        hashes=np.array([image.perceptual_hash for image in images], dtype=np.int64).view(np.uint64),
        is_blank=np.array([image.entropy < BLANK_ENTROPY for image in images], dtype=np.bool_),
        taken_s=np.array([_seconds(image.taken_at) for image in images], dtype=np.float64),
        values=None if embeddings is None else embeddings.values_of([image.id for image in images]),
    )


def _seconds(taken_at: str | None) -> float:
    try:
        return (datetime.fromisoformat(taken_at) - _EPOCH).total_seconds() if taken_at else np.nan
    except ValueError:
        return np.nan


def _grey(storage: Storage, decoders: DecodingPool, image: MeasuredImage) -> NDArray[np.uint8]:
    """The picture's thumbnail as 64 x 64 grey values; black where there is none, which is never a copy of anything."""
    try:
        content = thumbnail(storage, decoders, image.digest, GRID)
        return small_grey(Image.open(io.BytesIO(content), formats=("JPEG", "WEBP")))
    except (AppError, OSError):
        return np.zeros((SIDE, SIDE), dtype=np.uint8)
