"""How many mistakes more pictures of a class would mend: learning curves of a linear model on kept features.

For each class the model is fitted again with half and with a quarter of that class's pictures, several times, while all
other classes stay whole. What the last doubling mended says what the next pictures may mend, less what doublings lose
from one to the next. The range is that of resampled test pictures and of the halves that were drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

MORE: Final = 50
"""Pictures that are offered to add; never more than a class has, as curves tell nothing beyond a doubling."""
FEWEST: Final = 8
"""Pictures below which a class has no quarter to learn from."""
_DRAWS: Final = 8
_RESAMPLED: Final = 200
_RIDGE: Final = 0.1
_LIKELY: Final = (10, 90)
"""Percentiles between which the number of mended mistakes is said to lie."""
_LEAST_KEPT, _MOST_KEPT = 0.25, 1.0
"""Of what one doubling mends, the next one mends so much, at least and at most."""


class Labelled(NamedTuple):
    """N pictures: ``values`` (N, D) features of length 1, ``targets`` (N,) index of the class that each label names."""

    values: NDArray[np.float32]
    targets: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClassGain:
    """What more pictures of a class would do.

    Attributes:
        target: index of the class.
        more: how many pictures more.
        low, high: mistakes that they would probably mend, on the judged pictures; negative: cause.
    """

    target: int
    more: int
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the range leaves out that nothing is mended."""
        return self.low >= 0.5


def class_gains(learnt: Labelled, judged: Labelled, classes: int, wanted: Sequence[int]) -> list[ClassGain]:
    """The gains of the ``wanted`` classes that have at least ``FEWEST`` pictures, in their order.

    Args:
        learnt: what the model learns from.
        judged: what its mistakes are counted on.
        classes: K, how many classes there are.
    """
    rng = np.random.default_rng(1)
    head = _Head.of(learnt, classes)
    truth = judged.targets
    whole = (head.answers(judged.values) != truth).astype(np.float64)
    rows_of = {target: np.flatnonzero(learnt.targets == target) for target in wanted}
    chosen = [target for target in wanted if len(rows_of[target]) >= FEWEST]
    halves = np.zeros((len(chosen), _DRAWS, len(truth)))
    quarters = np.zeros((len(chosen), len(truth)))
    for place, target in enumerate(chosen):
        rows = rows_of[target]
        for draw in range(_DRAWS):
            mixed = rng.permutation(rows)
            left_out = head.without(learnt, mixed[len(rows) // 2 :])
            halves[place, draw] = left_out.answers(judged.values) != truth
            fewer = left_out.without(learnt, mixed[len(rows) // 4 : len(rows) // 2])
            quarters[place] += (fewer.answers(judged.values) != truth) / _DRAWS
    last = halves - whole
    kept = _kept(float((quarters - halves.mean(axis=1)).sum()), float(last.mean(axis=1).sum()))
    weights = rng.multinomial(len(truth), np.full(len(truth), 1 / max(1, len(truth))), _RESAMPLED)
    found = []
    for place, target in enumerate(chosen):
        count = len(rows_of[target])
        more = _rounded(min(MORE, count))
        share = kept * np.log2(1 + more / count)
        draws = rng.integers(0, _DRAWS, (_RESAMPLED, _DRAWS))
        # Which pictures were tested and which halves were drawn are both chance.
        sums = np.einsum("rv,rv->r", weights, last[place][draws].mean(axis=1))
        low, high = np.percentile(sums * share, _LIKELY)
        found.append(ClassGain(target, more, float(low), float(high)))
    return found


def errors_of(learnt: Labelled, judged: Labelled, classes: int) -> int:
    """How many of the judged pictures the linear model gets wrong."""
    return int((_Head.of(learnt, classes).answers(judged.values) != judged.targets).sum())


class _Head:
    """Ridge regression onto one column for each class, kept as sums, so that leaving pictures out costs no fit."""

    def __init__(self, products: NDArray[np.float64], sums: NDArray[np.float64]) -> None:
        self._products = products
        self._sums = sums

    @classmethod
    def of(cls, learnt: Labelled, classes: int) -> "_Head":
        values = _with_one(learnt.values)
        return cls(values.T @ values, values.T @ np.eye(classes)[learnt.targets])

    def without(self, learnt: Labelled, rows: NDArray[np.int64]) -> "_Head":
        """The same without some pictures."""
        values = _with_one(learnt.values[rows])
        return _Head(
            self._products - values.T @ values,
            self._sums - values.T @ np.eye(self._sums.shape[1])[learnt.targets[rows]],
        )

    def answers(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        """(N,) the class that is answered for each picture."""
        penalty = np.full(len(self._products), _RIDGE)
        penalty[-1] = 1e-6  # the constant is free
        weights = np.linalg.solve(self._products + np.diag(penalty), self._sums)
        return np.asarray((_with_one(values) @ weights).argmax(axis=1), dtype=np.int64)


def _with_one(values: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.column_stack([values.astype(np.float64), np.ones(len(values))])


def _kept(before: float, last: float) -> float:
    """How much of what one doubling mends the next one mends, by all classes together; half where that isn't clear."""
    if before <= 0 or last <= 0:
        return 0.5
    return min(_MOST_KEPT, max(_LEAST_KEPT, last / before))


def _rounded(count: int) -> int:
    return count if count < 10 else count // 10 * 10
