"""Seconds as a constant part plus a cost for each unit of work, fitted so that few odd measurements don't matter.

A measurement of three pictures on a busy machine is mostly the time that any work takes
before its first picture; divided by three and multiplied by a thousand it would give hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import Final

MOST_CONSTANT_S: Final = 5.0
"""The largest constant part that is believed; more than that is load."""
MOST_SLOWER: Final = 3.0
"""How many times slower, or faster, a training may be for each unit than a test of the same machine."""
_APART: Final = 2.0
"""Two amounts tell the constant part from the cost of a unit only where one is at least so many times the other."""


@dataclass(frozen=True, slots=True)
class Line:
    """``constant`` seconds and ``of_one`` more for each unit."""

    constant: float
    of_one: float

    def seconds(self, amount: float) -> float:
        """What so many units take."""
        return self.constant + self.of_one * amount


def fit(points: Sequence[tuple[float, float]], tested: float | None = None) -> Line:
    """The line through measured (amount, seconds), at least one.

    ``tested``: seconds of one unit in a test of the same machine; it limits what is believed of a unit.
    Source: Theil-Sen, the median of the slopes between pairs of points, each weighted by its distance.
    """
    of_one = _slope(points)
    if tested is not None:
        of_one = min(max(of_one, tested / MOST_SLOWER), tested * MOST_SLOWER)
    rest = median(seconds - of_one * amount for amount, seconds in points)
    return Line(min(max(rest, 0.0), MOST_CONSTANT_S), of_one)


def _slope(points: Sequence[tuple[float, float]]) -> float:
    whole = median(seconds / amount for amount, seconds in points)
    pairs = [
        ((seconds - other_seconds) / (amount - other), abs(amount - other))
        for (amount, seconds), (other, other_seconds) in combinations(points, 2)
        if max(amount, other) >= _APART * min(amount, other)
    ]
    if not pairs:
        return whole
    least = min(seconds / amount for amount, seconds in points)
    # No unit costs more than with all of the constant part in it; below half of that lies noise.
    return min(max(_weighted_median(pairs), least / 2), whole)


def _weighted_median(values: Sequence[tuple[float, float]]) -> float:
    """The value at which half of the weights is reached."""
    ordered = sorted(values)
    half, reached = sum(weight for _, weight in ordered) / 2, 0.0
    for value, weight in ordered:
        reached += weight
        if reached >= half:
            return value
    return ordered[-1][0]
