"""Two models on the same pictures: which answers became right or wrong, in all and by class."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from backend.domain.ids import ImageId
from backend.domain.results import ClassReport, class_reports
from backend.domain.trends import Flips


class Outcome(StrEnum):
    """What became of a picture from one model to another."""

    NOW_RIGHT = "now-right"
    NOW_WRONG = "now-wrong"
    STILL_WRONG = "still-wrong"
    BOTH_RIGHT = "both-right"


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture's label and what two models answered; all three are names of today."""

    image_id: ImageId
    label: str
    before: str
    after: str

    @property
    def outcome(self) -> Outcome:
        """Which of the four it is."""
        if self.after == self.label:
            return Outcome.BOTH_RIGHT if self.before == self.label else Outcome.NOW_RIGHT
        return Outcome.NOW_WRONG if self.before == self.label else Outcome.STILL_WRONG


@dataclass(frozen=True, slots=True)
class ClassChange:
    """One class in the results of both models; ``now_right`` and ``now_wrong`` count its pictures."""

    before: ClassReport
    after: ClassReport
    now_right: int
    now_wrong: int

    @property
    def name(self) -> str:
        """Its name of today."""
        return self.before.name

    @property
    def images(self) -> int:
        """Pictures of the class."""
        return self.before.images


def flips_of_pairs(pairs: Sequence[Pair]) -> Flips:
    """How many answers became right and wrong."""
    return Flips.of_pairs(Counter((pair.before == pair.label, pair.after == pair.label) for pair in pairs))


def class_changes(pairs: Sequence[Pair]) -> list[ClassChange]:
    """Every class that is a label or an answer, those that changed most first."""
    names = sorted({name for pair in pairs for name in (pair.label, pair.before, pair.after)})
    index = {name: place for place, name in enumerate(names)}
    targets = [index[pair.label] for pair in pairs]
    before, after = (
        class_reports(names, _matrix(targets, [index[answer] for answer in answers], len(names)))
        for answers in ([pair.before for pair in pairs], [pair.after for pair in pairs])
    )
    counts = Counter((pair.label, pair.outcome) for pair in pairs)
    found = [
        ClassChange(was, now, counts[now.name, Outcome.NOW_RIGHT], counts[now.name, Outcome.NOW_WRONG])
        for was, now in zip(before, after, strict=True)
    ]
    return sorted(found, key=lambda of: (-abs(of.now_right - of.now_wrong), -of.now_right - of.now_wrong, of.name))


def _matrix(targets: Sequence[int], predicted: Sequence[int], classes: int) -> NDArray[np.int64]:
    """(K, K) image counts: rows are labels, columns answers."""
    matrix = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(matrix, (np.array(targets, dtype=np.intp), np.array(predicted, dtype=np.intp)), 1)
    return matrix
