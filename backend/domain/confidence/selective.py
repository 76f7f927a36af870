"""Answering only when sure: how many pictures a model answers at a threshold, and how many answers are wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.domain.results import wilson_interval

STEPS: Final = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Thresholds of the table."""


@dataclass(frozen=True, slots=True)
class Answering:
    """What a model does with ``images`` pictures at a threshold: it answers some, and some of these answers are wrong.

    For a class: ``images`` are those predicted as the class.
    """

    threshold: float
    images: int
    answered: int
    wrong: int

    @property
    def coverage(self) -> float:
        """Share of the pictures that it answers; 0 where there are none."""
        return self.answered / self.images if self.images else 0.0

    @property
    def coverage_interval(self) -> tuple[float, float]:
        """95 % interval of the coverage."""
        return wilson_interval(self.answered, self.images)

    @property
    def error_rate(self) -> float | None:
        """Share of its answers that are wrong; None where it answers nothing."""
        return self.wrong / self.answered if self.answered else None

    @property
    def error_interval(self) -> tuple[float, float]:
        """95 % interval of the error rate."""
        return wilson_interval(self.wrong, self.answered)


def answering(
    probabilities: NDArray[np.floating],
    targets: NDArray[np.int64],
    classes: Sequence[str],
    threshold: float,
    class_thresholds: Mapping[str, float] | None = None,
) -> Answering:
    """What a model does with all pictures: (N, K) probabilities, (N,) targets.

    ``class_thresholds``: of classes (as predicted) for which another threshold holds.
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    limits = np.array([(class_thresholds or {}).get(name, threshold) for name in classes])
    is_answered = confidence >= limits[predicted]
    wrong = int((is_answered & (predicted != targets)).sum())
    return Answering(threshold, len(targets), int(is_answered.sum()), wrong)


def answering_by_class(
    probabilities: NDArray[np.floating],
    targets: NDArray[np.int64],
    classes: Sequence[str],
    threshold: float,
    class_thresholds: Mapping[str, float] | None = None,
) -> list[Answering]:
    """The same of the pictures predicted as each class, in the order of the classes; each with its own threshold."""
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    is_wrong = predicted != targets
    found = []
    for index, name in enumerate(classes):
        limit = (class_thresholds or {}).get(name, threshold)
        mine = predicted == index
        is_answered = mine & (confidence >= limit)
        found.append(Answering(limit, int(mine.sum()), int(is_answered.sum()), int((is_answered & is_wrong).sum())))
    return found


def answering_table(
    probabilities: NDArray[np.floating], targets: NDArray[np.int64], classes: Sequence[str]
) -> list[Answering]:
    """What a model does at each threshold of ``STEPS``."""
    return [answering(probabilities, targets, classes, step) for step in STEPS]
