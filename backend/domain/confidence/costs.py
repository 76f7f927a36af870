"""Two classes: what it costs to predict one of them from each probability on."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

PERCENTS: Final = range(101)
"""Thresholds that are looked at, in percent."""
USUAL_PERCENT: Final = 50
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Costs:
    """What one mistake of each kind costs, in any unit: a picture of the class that is missed, and a false one."""

    missed: float = 1.0
    false: float = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of pictures of two classes if one of them is predicted from a probability of ``percent`` % on.

    Attributes:
        true_positive, false_negative: pictures of the class that are predicted as it, and those that are missed.
        false_positive, true_negative: pictures of the other class that are predicted as the class, and as the other.
    """

    percent: int
    true_positive: int
    false_negative: int
    false_positive: int
    true_negative: int

    @property
    def positive(self) -> int:
        """Pictures of the class."""
        return self.true_positive + self.false_negative

    @property
    def negative(self) -> int:
        """Pictures of the other class."""
        return self.false_positive + self.true_negative

    def cost(self, costs: Costs) -> float:
        """The cost of all mistakes together."""
        # Rounded, so that equal costs compare as equal: 3 x 0.1 is not 0.3 in binary.
        return round(self.false_negative * costs.missed + self.false_positive * costs.false, _DIGITS)


def outcomes(probabilities: NDArray[np.floating], is_positive: NDArray[np.bool_]) -> tuple[Outcome, ...]:
    """The outcome at each threshold of ``PERCENTS``, lowest first.

    Args:
        probabilities: (N,) of the class. At a threshold the class is predicted where they reach it.
        is_positive: (N,) whether a picture is of the class.
    """
    # Answers are stored as float32: compared as such, a stored 0.7 reaches the threshold of 70 %.
    limits = (np.arange(len(PERCENTS)) / 100).astype(np.float32)
    found = np.asarray(probabilities, dtype=np.float32)
    positive, negative = np.sort(found[is_positive]), np.sort(found[~is_positive])
    missed, spared = (np.searchsorted(values, limits, side="left") for values in (positive, negative))
    return tuple(
        Outcome(percent, len(positive) - below, below, len(negative) - others, others)
        for percent, below, others in zip(PERCENTS, missed.tolist(), spared.tolist(), strict=True)
    )


def cheapest(of: Iterable[Outcome], costs: Costs) -> Outcome:
    """The outcome with the lowest cost; of several the one whose threshold is nearest to 50 %, then the lower one."""
    return min(of, key=lambda one: (one.cost(costs), abs(one.percent - USUAL_PERCENT), one.percent))
