"""Exact search for near neighbours among perceptual hashes and among embeddings, in blocks of bounded memory."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.imaging.measures import turned_hashes

Positions = tuple[NDArray[np.int64], NDArray[np.int64]]
"""(P,) rows of the new ones and (P,) rows of all."""

_CHUNKS: Final = ((0, 10), (10, 9), (19, 9), (28, 9), (37, 9), (46, 9), (55, 9))
"""First bit and number of bits of seven parts of a hash: of two hashes that differ in 6 bits, one part is the same."""
_FEW: Final = 4_000_000
"""Comparisons up to which all are made, instead of those of equal parts only."""
_KEPT: Final = 8
"""Neighbours that a new picture keeps."""
_ROWS, _COLUMNS = 2_048, 16_384
_SAMPLE: Final = 1_000


def hash_candidates(
    new: NDArray[np.uint64], known: NDArray[np.uint64], most: int, kept: int = _KEPT
) -> Iterator[Positions]:
    """Hashes that differ in at most ``most`` bits in one of the 8 flips and turns; for each new one the nearest few.

    Args:
        new: (M,) hashes.
        known: (N,) hashes, in which new ones may stand too.
        most: at most 6 where there are many hashes.
    """
    if not len(new) or not len(known):
        return
    turns = turned_hashes(new)
    rows: list[NDArray[np.int64]] = []
    columns: list[NDArray[np.int64]] = []
    distances: list[NDArray[np.uint8]] = []
    blocks = _all_blocks(turns, len(known)) if turns.size * len(known) <= _FEW else _equal_parts(turns, known)
    for block, places in blocks:
        found = np.bitwise_count(turns.ravel()[block][:, None] ^ known[places][None, :])
        row, column = _nearest(found, most, kept)
        rows.append(block[row] % len(new))
        columns.append(places[column])
        distances.append(found[row, column])
    yield _best(np.concatenate(rows), np.concatenate(columns), np.concatenate(distances), kept)


def hash_distances(
    first: NDArray[np.uint64], second: NDArray[np.uint64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(P,) bits in which pairs differ in the best of the 8 flips and turns of the first, and (P,) which that is."""
    if not len(first):
        return np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.int64)
    distances = np.bitwise_count(turned_hashes(first) ^ second[None])
    return distances.min(axis=0), distances.argmin(axis=0)


def cosine_candidates(
    new: NDArray[np.float32], known: NDArray[np.float32], least: float, kept: int = _KEPT
) -> Iterator[Positions]:
    """Rows whose cosine is at least ``least``; for each new one the nearest few and, usually, itself.

    Args:
        new: (M, D) rows of length 1 or 0.
        known: (N, D) rows, in which new ones may stand too.
    """
    for start in range(0, len(new), _ROWS):
        rows: list[NDArray[np.int64]] = []
        columns: list[NDArray[np.int64]] = []
        distances: list[NDArray[np.float32]] = []
        for left in range(0, len(known), _COLUMNS):
            found = 1 - new[start : start + _ROWS] @ known[left : left + _COLUMNS].T
            # One more, because the nearest is the picture itself.
            row, column = _nearest(found, 1 - least, kept + 1)
            rows.append(row)
            columns.append(column + left)
            distances.append(found[row, column])
        row, column = _best(np.concatenate(rows), np.concatenate(columns), np.concatenate(distances), kept + 1)
        yield row + start, column


def typical_distance(values: NDArray[np.float32]) -> float:
    """Median cosine distance of a picture to its fifth neighbour, from a sample.

    The nearest ones may be copies: of a set that holds each picture in three versions, the nearest says nothing about
    how far apart different pictures are.
    """
    step = max(1, len(values) // _SAMPLE)
    sample = np.arange(0, len(values), step)
    if len(values) < 3:
        return 0.0
    nearest = np.full((len(sample), min(_NEIGHBOUR, len(values) - 1)), np.inf, dtype=np.float32)
    for left in range(0, len(values), _COLUMNS):
        found = 1 - values[sample] @ values[left : left + _COLUMNS].T
        found[found < _COPY] = np.inf  # itself among them
        nearest = _smallest(np.concatenate([nearest, found], axis=1), nearest.shape[1])
    furthest = np.where(np.isfinite(nearest), nearest, -np.inf).max(axis=1)
    is_there = np.isfinite(furthest)
    return float(np.median(furthest[is_there])) if is_there.any() else 0.0


def _smallest(values: NDArray[np.float32], kept: int) -> NDArray[np.float32]:
    """(N, kept) the smallest of each row, in any order."""
    return np.partition(values, kept - 1, axis=1)[:, :kept]


_COPY: Final = 0.02
"""Cosine distance below which pictures are passed over as copies for certain."""
_NEIGHBOUR: Final = 5


def _all_blocks(turns: NDArray[np.uint64], known: int) -> Iterator[Positions]:
    every, places = np.arange(turns.size), np.arange(known)
    for start in range(0, len(every), _ROWS):
        yield every[start : start + _ROWS], places


def _equal_parts(turns: NDArray[np.uint64], known: NDArray[np.uint64]) -> Iterator[Positions]:
    """Blocks of hashes that share a part: together all pairs that differ in fewer bits than there are parts."""
    asked = turns.ravel()
    for first, width in _CHUNKS:
        shift, mask = np.uint64(first), np.uint64((1 << width) - 1)
        mine, theirs = (asked >> shift) & mask, (known >> shift) & mask
        my_order, their_order = np.argsort(mine, kind="stable"), np.argsort(theirs, kind="stable")
        edges = np.arange((1 << width) + 1, dtype=np.uint64)
        my_edges = np.searchsorted(mine[my_order], edges)
        their_edges = np.searchsorted(theirs[their_order], edges)
        for value in np.flatnonzero((np.diff(my_edges) > 0) & (np.diff(their_edges) > 0)):
            places = their_order[their_edges[value] : their_edges[value + 1]]
            rows = my_order[my_edges[value] : my_edges[value + 1]]
            for start in range(0, len(rows), _ROWS):
                for left in range(0, len(places), _COLUMNS):
                    yield rows[start : start + _ROWS], places[left : left + _COLUMNS]


def _nearest(distances: NDArray[np.float32] | NDArray[np.uint8], most: float, kept: int) -> Positions:
    """Row and column of values up to ``most``, the ``kept`` smallest of each row where there are very many."""
    near = distances <= most
    if np.count_nonzero(near) > 4 * kept * len(distances) and distances.shape[1] > kept:
        columns = np.argpartition(distances, kept - 1, axis=1)[:, :kept]
        rows = np.repeat(np.arange(len(distances)), kept)
        flat = columns.ravel()
        is_near = near[rows, flat]
        return rows[is_near], flat[is_near]
    row, column = np.nonzero(near)
    return row, column


def _best(rows: NDArray[np.int64], columns: NDArray[np.int64], distances: NDArray[np.generic], kept: int) -> Positions:
    """Each pair once, and of each row the ``kept`` nearest."""
    order = np.lexsort((columns, distances, rows))
    rows, columns = rows[order], columns[order]
    _, first = np.unique(rows * (columns.max(initial=0) + 1) + columns, return_index=True)
    first.sort()
    rows, columns = rows[first], columns[first]
    starts = np.searchsorted(rows, rows, side="left")
    is_kept = np.arange(len(rows)) - starts < kept
    return rows[is_kept], columns[is_kept]
