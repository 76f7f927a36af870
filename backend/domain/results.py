"""A checkpoint's predictions on images that it wasn't trained on, and the tables that follow from them.

One record (`Evaluation`); every table and list of the pages is computed from it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray


def model_rank(error_rate: float, loss: float, *, is_within_chance: bool = False) -> tuple[bool, float, float]:
    """Sorts models judged on the same images, the best first: fewer errors; of equals, the lower loss (in nats).

    ``is_within_chance``: the model is only seemingly better than the one before it; it comes after all others.
    """
    return is_within_chance, error_rate, loss


def rank_of(figures: Mapping[str, Any]) -> tuple[bool, float, float]:  # Any: JSON values
    """``model_rank`` by a checkpoint's figures on the validation images."""
    is_within_chance = bool(figures.get("is_within_chance", False))
    return model_rank(figures["error_rate"], figures["loss"], is_within_chance=is_within_chance)


@dataclass(frozen=True, slots=True)
class ClassReport:
    """One class: ``precision`` is None where it was never predicted, ``recall`` where it has no images."""

    name: str
    images: int
    predicted: int
    correct: int
    precision: float | None
    recall: float | None
    f1: float | None

    @property
    def precision_interval(self) -> tuple[float, float] | None:
        """95 % interval of the precision."""
        return wilson_interval(self.correct, self.predicted) if self.predicted else None

    @property
    def recall_interval(self) -> tuple[float, float] | None:
        """95 % interval of the recall."""
        return wilson_interval(self.correct, self.images) if self.images else None

    @property
    def f1_interval(self) -> tuple[float, float] | None:
        """95 % interval of F1.

        F1 follows from the share J of right ones among all images that are of the class or were predicted as it: it is
        2J / (1 + J), which rises with J, so that Wilson's interval of J can be taken over.
        """
        either = self.images + self.predicted - self.correct
        if not either:
            return None
        low, high = (2 * share / (1 + share) for share in wilson_interval(self.correct, either))
        return low, high


@dataclass(frozen=True, slots=True)
class Confusion:
    """``count`` images of class ``actual`` that were predicted as ``predicted``."""

    actual: str
    predicted: str
    count: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Predictions of one checkpoint on N images of K classes.

    Attributes:
        classes: K names, in the order of the model's outputs.
        image_ids: N ids, in the order of the rows below.
        probabilities: (N, K) float, each row sums to 1.
        targets: (N,) int, index into ``classes``.
    """

    classes: tuple[str, ...]
    image_ids: tuple[str, ...]
    probabilities: NDArray[np.float32]
    targets: NDArray[np.int64]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """(N,) index of the most probable class."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def losses(self) -> NDArray[np.float64]:
        """(N,) cross-entropy of each image, in nats."""
        given = self.probabilities[np.arange(len(self.targets)), self.targets].astype(np.float64)
        # A float32 softmax underflows to exactly 0; the floor keeps the ranking finite.
        return np.asarray(-np.log(np.maximum(given, np.finfo(np.float32).tiny)))

    @property
    def errors(self) -> int:
        """How many images the model got wrong."""
        return int((self.predicted != self.targets).sum())

    def confusion_matrix(self) -> NDArray[np.int64]:
        """(K, K) image counts: rows are actual classes, columns predicted ones."""
        matrix = np.zeros((len(self.classes),) * 2, dtype=np.int64)
        np.add.at(matrix, (self.targets, self.predicted), 1)
        return matrix

    def most_confused(self, min_count: int = 1) -> list[Confusion]:
        """Pairs confused at least ``min_count`` times, most first; ties in the order of the classes."""
        return most_confused(self.classes, self.confusion_matrix(), min_count)

    def top_losses(self, k: int) -> list[int]:
        """Rows of the ``k`` images the model got most wrong, worst first."""
        return [int(row) for row in np.argsort(-self.losses, kind="stable")[:k]]

    def per_class(self) -> list[ClassReport]:
        """Precision, recall and F1 of each class, in the order of the outputs."""
        return class_reports(self.classes, self.confusion_matrix())


def most_confused(classes: Sequence[str], matrix: NDArray[np.int64], min_count: int = 1) -> list[Confusion]:
    """Pairs off the diagonal with at least ``min_count`` images, most first; ties in the order of the classes."""
    mistakes = matrix - np.diag(np.diag(matrix))
    pairs = [
        Confusion(classes[row], classes[column], int(mistakes[row, column]))
        for row, column in np.argwhere(mistakes >= max(1, min_count))
    ]
    return sorted(pairs, key=lambda pair: -pair.count)


def class_reports(classes: Sequence[str], matrix: NDArray[np.int64]) -> list[ClassReport]:
    """Precision, recall and F1 of each class, from its row and column of the (K, K) confusion matrix."""
    return [
        _class_report(name, int(matrix[k].sum()), int(matrix[:, k].sum()), int(matrix[k, k]))
        for k, name in enumerate(classes)
    ]


def _class_report(name: str, images: int, predicted: int, correct: int) -> ClassReport:
    precision = correct / predicted if predicted else None
    recall = correct / images if images else None
    f1 = 2 * correct / (images + predicted) if images + predicted else None
    return ClassReport(name, images, predicted, correct, precision, recall, f1)


def wilson_interval(errors: int, images: int, z: float = 1.959964) -> tuple[float, float]:
    """95 % interval of an error rate: (low, high) in [0, 1], given ``errors`` of ``images``.

    Exactly 0 below no errors and exactly 1 above nothing but errors.
    Source: Wilson, "Probable Inference", JASA 1927. Unlike the textbook's normal
    interval it stays honest at 0 errors and for few images.
    """
    if images == 0:
        return (0.0, 1.0)
    rate = errors / images
    centre = (rate + z**2 / (2 * images)) / (1 + z**2 / images)
    spread = z / (1 + z**2 / images) * math.sqrt(rate * (1 - rate) / images + z**2 / (4 * images**2))
    return (centre - spread if errors else 0.0, centre + spread if errors < images else 1.0)


@dataclass(frozen=True, slots=True)
class ProportionWords:
    """A share of images and its 95 % interval for people: ``94.2 %`` and ``likely 92.9 to 95.3 %``."""

    share: str
    interval: str


_WIDE: Final = 0.05
"""An interval this wide makes a decimal of the share meaningless."""


def proportion_words(count: int, images: int) -> ProportionWords:
    """The share ``count`` of ``images`` with as many decimals as its 95 % interval allows.

    It reads 0 % or 100 % only where it is exactly that.
    """
    low, high = wilson_interval(count, images)
    digits = 0 if high - low > _WIDE else 1
    share = _percent(count / images if images else 0.0, digits)
    return ProportionWords(f"{share} %", f"likely {_percent(low, digits)} to {_percent(high, digits)} %")


def accuracy_words(errors: int, images: int) -> str:
    """``100 % right (likely 68 to 100 %)``: the one way in which pages give a result."""
    words = proportion_words(images - errors, images)
    return f"{words.share} right ({words.interval})"


def _percent(share: float, digits: int) -> str:
    if share in (0.0, 1.0):
        return f"{100 * share:.0f}"
    while (text := f"{100 * share:.{digits}f}") in (f"{0:.{digits}f}", f"{100:.{digits}f}"):
        digits += 1
    return text


def chance_of_flips(mended: int, spoiled: int) -> float:
    """The p-value of McNemar's exact test, two-sided: how often chance alone gives as uneven a pair of counts.

    ``mended`` images were wrong before and are right now, ``spoiled`` the other way round; those with the same
    answer don't count. Source: McNemar, Psychometrika 1947, with the binomial in place of its approximation.
    """
    flips = mended + spoiled
    # Of the binomial coefficients each follows from the one before it; thousands of them anew would take a second.
    rarer = ways = 1
    for k in range(min(mended, spoiled)):
        ways = ways * (flips - k) // (k + 1)
        rarer += ways
    # Whole numbers until the end: a float overflows at some thousand flips.
    return min(1.0, float(2 * rarer / (1 << flips)))
