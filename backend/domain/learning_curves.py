"""How many mistakes more pictures would mend: learning curves of a linear model on kept features.

The model is fitted again with half and with a quarter of the pictures, of all classes and of one class at a time,
several times. What the last two doublings mended says what the next one may mend: each mends less than the one before.

Which class gains most can't be read off its own curve: in a back-test (docs/findings.md) what halving a class costs and
what doubling it mends hardly go together, because both depend on the same few test pictures. So all classes' curves
together say which part of a class's missed pictures a doubling mends, and a class gains by its missed ones. The ranges
are as wide as the curves of single classes lie around that; in the back-test three to four of five true numbers lay in
them, and nothing that was promised as clear came out as nothing.
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
_RIDGE: Final = 0.1
_SPREAD: Final = 1.2816
"""Standard deviations to both sides that hold four fifths of a normal distribution."""
_NEXT_OF_ALL: Final = 0.7
_NEXT_OF_ONE: Final = 0.5
"""Of what a doubling mends, the next one mends so much: of all pictures, and of one class, whose halving also changes
how frequent it is. Both fit the back-test."""


class Labelled(NamedTuple):
    """N pictures: ``values`` (N, D) features of length 1, ``targets`` (N,) index of the class that each label names."""

    values: NDArray[np.float32]
    targets: NDArray[np.int64]


class Gain(NamedTuple):
    """Mistakes on the judged pictures that are probably mended, at least and at most; negative: caused."""

    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the range leaves out that nothing is mended."""
        return self.low >= 0.5

    def times(self, factor: float) -> "Gain":
        """The same for another number of mistakes."""
        return Gain(self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class ClassGain:
    """What ``more`` pictures of the class with the index ``target`` would do."""

    target: int
    more: int
    gain: Gain


def gain_of_all(learnt: Labelled, judged: Labelled, classes: int) -> Gain:
    """What twice as many pictures of every class would mend of the linear model's mistakes.

    Args:
        learnt: what the model learns from.
        judged: what its mistakes are counted on.
        classes: K, how many classes there are.
    """
    rng = np.random.default_rng(1)
    whole = _Head.of(learnt, classes).is_wrong(judged)
    last, before, changed = [], [], []
    for _ in range(_DRAWS):
        half = _half(learnt, rng)
        of_half, of_quarter = (_Head.of(part, classes).is_wrong(judged) for part in (half, _half(half, rng)))
        last.append(int(of_half.sum()) - int(whole.sum()))
        before.append(int(of_quarter.sum()) - int(of_half.sum()))
        changed.append(int((of_half != whole).sum()))
    mended = _next(float(np.mean(last)), float(np.mean(before)), _NEXT_OF_ALL)
    # Pictures that change between right and wrong do so in both directions, nearly by chance.
    return _around(mended, float(np.sqrt(np.mean(changed))))


def gains_of_classes(learnt: Labelled, judged: Labelled, missed: Sequence[int], share: float) -> list[ClassGain]:
    """What more pictures of each class would mend of a run's mistakes; for classes that have ``FEWEST`` pictures.

    Args:
        learnt, judged: as above.
        missed: (K,) of each class, how many judged pictures the run gets wrong.
        share: mistakes of the run for each of the linear model's.
    """
    rng = np.random.default_rng(1)
    head = _Head.of(learnt, len(missed))
    whole = int(head.is_wrong(judged).sum())
    rows_of = [np.flatnonzero(learnt.targets == target) for target in range(len(missed))]
    chosen = [target for target, rows in enumerate(rows_of) if len(rows) >= FEWEST]
    if not chosen:
        return []
    last, before = np.zeros((2, len(chosen), _DRAWS))
    for place, target in enumerate(chosen):
        rows = rows_of[target]
        for draw in range(_DRAWS):
            mixed = rng.permutation(rows)
            half = head.without(learnt, mixed[len(rows) // 2 :])
            quarter = half.without(learnt, mixed[len(rows) // 4 : len(rows) // 2])
            errors = int(half.is_wrong(judged).sum())
            last[place, draw] = errors - whole
            before[place, draw] = int(quarter.is_wrong(judged).sum()) - errors
    of_missed = np.array([missed[target] for target in chosen]) / max(1, sum(missed[target] for target in chosen))
    mended = share * len(chosen) * max(0.0, _next(float(last.mean()), float(before.mean()), _NEXT_OF_ONE)) * of_missed
    expected = len(chosen) * max(0.0, float(last.mean())) * of_missed
    spread = share * float((last - expected[:, None]).std())
    found = []
    for target, number in zip(chosen, mended.tolist(), strict=True):
        count = len(rows_of[target])
        more = _rounded(min(MORE, count))
        doublings = float(np.log2(1 + more / count))
        found.append(ClassGain(target, more, _around(number * doublings, spread * doublings**0.5)))
    return found


def errors_of(learnt: Labelled, judged: Labelled, classes: int) -> int:
    """How many of the judged pictures the linear model gets wrong."""
    return int(_Head.of(learnt, classes).is_wrong(judged).sum())


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

    def is_wrong(self, judged: Labelled) -> NDArray[np.bool_]:
        """(N,) whether each picture gets another class than its own."""
        penalty = np.full(len(self._products), _RIDGE)
        penalty[-1] = 1e-6  # the constant is free
        weights = np.linalg.solve(self._products + np.diag(penalty), self._sums)
        return np.asarray((_with_one(judged.values) @ weights).argmax(axis=1) != judged.targets, dtype=np.bool_)


def _with_one(values: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.column_stack([values.astype(np.float64), np.ones(len(values))])


def _half(learnt: Labelled, rng: np.random.Generator) -> Labelled:
    """Half of each class's pictures, at least one."""
    mixed = rng.permutation(len(learnt.targets))
    order = mixed[np.argsort(learnt.targets[mixed], kind="stable")]
    targets = learnt.targets[order]
    first = np.searchsorted(targets, targets)
    counts = np.searchsorted(targets, targets, side="right") - first
    kept = order[np.arange(len(order)) - first < np.maximum(1, np.round(counts / 2))]
    return Labelled(learnt.values[kept], learnt.targets[kept])


def _next(last: float, before: float, kept: float) -> float:
    """What the next doubling mends, by the last one and the one before it."""
    return (kept * last + kept**2 * before) / 2


def _around(middle: float, deviation: float) -> Gain:
    return Gain(middle - _SPREAD * deviation, middle + _SPREAD * deviation)


def _rounded(count: int) -> int:
    return count if count < 10 else count // 10 * 10
