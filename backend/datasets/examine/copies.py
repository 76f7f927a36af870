"""Pictures that show the same, in three tiers: the same pixels, the same picture again, the same moment.

A copy is proved and not guessed: whatever the hash or the network's features bring together is aligned and compared
(``alignment``). What a camera took a moment later is similar and no copy; it is only said to belong together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from backend.datasets.examine.alignment import agreement, turned
from backend.datasets.examine.near import cosine_candidates, hash_candidates, hash_distances, typical_distance
from backend.domain.sequences import place_in_sequence

HASH_DISTANCE: Final = 6
"""Bits in which hashes may differ for two pictures to be compared."""
_HASH_DISTANCE_OF_ALIKE: Final = 22
"""The same where features are alike: a crop of 5 % changes 8 bits in the middle and 16 in the worst of a hundred."""
_COSINE_SHARE: Final = 0.5
"""Pictures are compared whose cosine distance is below so much of the typical distance of neighbours.

Datalab calls pictures near copies below 0.13 of that to the nearest; we look further, as each pair is compared after.
"""
_MOMENT_SHARE: Final = 0.26
_FURTHEST: Final = 0.3
"""Cosine distance beyond which pictures are never compared, however different the others are."""
_CORRELATION: Final = 0.95
_WORST: Final = 0.17
"""Disagreement of any part that copies may have (docs/findings.md).

It is below 0.12 for 98 of 100 slight crops, and mostly above 0.3 for what a camera took next.
"""
_WORST_OF_NEIGHBOURS: Final = 0.07
"""The disagreement that is allowed between pictures that were taken or numbered one after the other."""
_MOMENT_S: Final = 10.0
_MOMENT_NUMBERS: Final = 2


_Two = tuple[int, int]
"""Positions of two pictures, the earlier one first."""


class PairKind(StrEnum):
    """How two pictures belong together; the values stand in ``image_pairs``."""

    SAME_PIXELS = "same-pixels"
    SAME_PICTURE = "same-picture"
    SAME_MOMENT = "same-moment"


class Pair(NamedTuple):
    """Two pictures by their positions, and how alike they are in 0 to 1."""

    first: int
    second: int
    kind: PairKind
    score: float


@dataclass(frozen=True)
class Pictures:
    """What is known of N pictures without looking at them again.

    Attributes:
        paths: their names.
        pixels: hashes of their pixels.
        hashes: (N,) perceptual hashes.
        is_blank: (N,) whether a picture shows so little that its hash means nothing.
        taken_s: (N,) the camera's time in seconds, NaN where there is none.
        values: (N, D) embeddings, rows of length 1 or of zeros where there is none; None where there are none at all.
    """

    paths: Sequence[str]
    pixels: Sequence[str]
    hashes: NDArray[np.uint64]
    is_blank: NDArray[np.bool_]
    taken_s: NDArray[np.float64]
    values: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def part(self, start: int, stop: int) -> Self:
        """The pictures from ``start`` up to ``stop``."""
        values = None if self.values is None else self.values[start:stop]
        return type(self)(
            self.paths[start:stop],
            self.pixels[start:stop],
            self.hashes[start:stop],
            self.is_blank[start:stop],
            self.taken_s[start:stop],
            values,
        )


Greys = Callable[[Sequence[int]], NDArray[np.uint8]]
"""(P, 64, 64) grey versions of pictures by their positions; what can't be read is black."""


def find_pairs(pictures: Pictures, new: int, greys: Greys, typical: float | None = None) -> list[Pair]:
    """Pairs of pictures that show the same, of which the second is new.

    Of many pictures with the same pixels each is paired with the first of them; of near copies, each new picture is
    paired with the few that are most alike.

    Args:
        pictures: all that are known, in the order of their arrival.
        new: from which position on they are new; they are compared with each other too.
        greys: asked for few pictures at a time, and only for those that might be copies.
        typical: distance of neighbours, as ``typical_distance`` gives it; None to compute it.
    """
    same, first_of = _same_pixels(pictures, new)
    # Of pictures with the same pixels the first stands for all.
    ahead = _candidates(pictures, new, typical)
    ahead = [pair for pair in ahead if first_of[pair[0]] == pair[0] and first_of[pair[1]] == pair[1]]
    neighbours = _neighbours(pictures)
    moments = _moments(pictures, {pair for pair in neighbours if pair[1] >= new}, typical)
    return [*same, *_verified(pictures, ahead, neighbours, moments, greys)]


def _same_pixels(pictures: Pictures, new: int) -> tuple[list[Pair], list[int]]:
    known: dict[str, int] = {}
    first_of = [known.setdefault(pixels, position) for position, pixels in enumerate(pictures.pixels)]
    pairs = [
        Pair(first_of[position], position, PairKind.SAME_PIXELS, 1.0)
        for position in range(new, len(pictures))
        if first_of[position] != position
    ]
    return pairs, first_of


def _candidates(pictures: Pictures, new: int, typical: float | None) -> list[_Two]:
    """Positions (earlier, later) of pictures that might be copies."""
    found: set[_Two] = set()
    usable = np.flatnonzero(~pictures.is_blank)
    later = usable[usable >= new]
    for rows, columns in hash_candidates(pictures.hashes[later], pictures.hashes[usable], HASH_DISTANCE):
        found.update(_ordered(later[rows], usable[columns]))
    if pictures.values is not None:
        typical = typical_distance(pictures.values) if typical is None else typical
        limit = min(_COSINE_SHARE * typical, _FURTHEST)
        for rows, columns in cosine_candidates(pictures.values[later], pictures.values, 1 - limit):
            first, second = later[rows], columns
            near = hash_distances(pictures.hashes[first], pictures.hashes[second])[0] <= _HASH_DISTANCE_OF_ALIKE
            near &= ~pictures.is_blank[second]
            found.update(_ordered(first[near], second[near]))
    return sorted(found)


def _ordered(first: NDArray[np.int64], second: NDArray[np.int64]) -> list[_Two]:
    lower, upper = np.minimum(first, second), np.maximum(first, second)
    is_pair = lower != upper
    return list(zip(lower[is_pair].tolist(), upper[is_pair].tolist(), strict=True))


def _moments(pictures: Pictures, neighbours: set[_Two], typical: float | None) -> dict[_Two, float]:
    """Cosine of those neighbours that are alike."""
    if pictures.values is None or not neighbours:
        return {}
    pairs = sorted(neighbours)
    typical = typical_distance(pictures.values) if typical is None else typical
    first, second = np.array(pairs).T
    cosines = np.einsum("ij,ij->i", pictures.values[first], pictures.values[second])
    is_alike = cosines >= 1 - min(_MOMENT_SHARE * typical, _FURTHEST)
    return {pairs[at]: float(min(1.0, cosines[at])) for at in np.flatnonzero(is_alike).tolist()}


def _neighbours(pictures: Pictures) -> set[_Two]:
    """Positions (earlier, later) of pictures that are next to each other in time, or in the numbers of their names."""
    found: set[_Two] = set()
    timed = np.flatnonzero(~np.isnan(pictures.taken_s))
    order = timed[np.argsort(pictures.taken_s[timed], kind="stable")]
    for step in (1, 2):
        near = pictures.taken_s[order[step:]] - pictures.taken_s[order[:-step]] <= _MOMENT_S
        found.update(_ordered(order[:-step][near], order[step:][near]))
    numbered: dict[str, list[tuple[int, int]]] = {}
    for position, path in enumerate(pictures.paths):
        if place := place_in_sequence(path):
            numbered.setdefault(place[0], []).append((place[1], position))
    for places in numbered.values():
        places.sort()
        for step in (1, 2):
            for (number, one), (next_number, other) in zip(places, places[step:], strict=False):
                if next_number - number <= _MOMENT_NUMBERS:
                    found.add((min(one, other), max(one, other)))
    return found


_VERIFIED_AT_ONCE: Final = 256


def _verified(
    pictures: Pictures, ahead: Sequence[_Two], neighbours: set[_Two], moments: dict[_Two, float], greys: Greys
) -> list[Pair]:
    """Those of ``ahead`` that are one picture, and the moments that are none of these."""
    pairs = {pair: Pair(*pair, PairKind.SAME_MOMENT, score) for pair, score in moments.items()}
    for start in range(0, len(ahead), _VERIFIED_AT_ONCE):
        part = ahead[start : start + _VERIFIED_AT_ONCE]
        first, second = np.array(part).T
        wanted = np.unique([first, second])
        found = greys(wanted.tolist())
        turns = hash_distances(pictures.hashes[first], pictures.hashes[second])[1]
        one = turned(found[np.searchsorted(wanted, first)], turns)
        agreed = agreement(one, found[np.searchsorted(wanted, second)])
        for pair, correlation, worst in zip(part, agreed.correlation, agreed.worst, strict=True):
            limit = _WORST_OF_NEIGHBOURS if pair in neighbours else _WORST
            if correlation >= _CORRELATION and worst <= limit and not _were_taken_apart(pictures, pair):
                pairs[pair] = Pair(*pair, PairKind.SAME_PICTURE, float(min(1.0, correlation)))
    return [pairs[pair] for pair in sorted(pairs)]


def _were_taken_apart(pictures: Pictures, pair: _Two) -> bool:
    """Whether a camera noted different times: then it was pressed twice."""
    times = pictures.taken_s[list(pair)]
    return not np.isnan(times).any() and bool(times[0] != times[1])
