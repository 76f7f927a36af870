"""The confusion matrix as pages draw it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.domain.likeness import order_by_likeness

LARGEST_TABLE: Final = 40
"""Up to this many classes every cell is a cell of a table; beyond, K x K cells would freeze a browser."""

_LEVELS: Final = (0.05, 0.1, 0.2, 0.4)


class Order(StrEnum):
    """How rows and columns are ordered."""

    NAME = "name"
    LIKENESS = "likeness"
    MISTAKES = "mistakes"


class Numbers(StrEnum):
    """What stands in a cell."""

    COUNTS = "counts"
    SHARES = "shares"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes:
        text: what stands in it; empty where there are no pictures.
        level: how loud a mistake is, 1 to 5; 0 for the diagonal and for nothing.
        is_share: the text is a percentage of the row.
    """

    actual: str
    predicted: str
    count: int
    text: str
    level: int
    is_share: bool = False

    @property
    def is_right(self) -> bool:
        """Whether it lies on the diagonal."""
        return self.actual == self.predicted

    @property
    def words(self) -> str:
        """What a person who can't see the table hears."""
        pictures = "no pictures" if not self.count else "1 picture" if self.count == 1 else f"{self.count:,} pictures"
        share = f", {self.text} %" if self.is_share and self.text else ""
        return f"really {self.actual}, model says {self.predicted}, {pictures}{share}"


@dataclass(frozen=True, slots=True)
class Row:
    """All images of one actual class."""

    actual: str
    images: int
    cells: tuple[Cell, ...]


def ordered(classes: Sequence[str], matrix: NDArray[np.int64], order: Order) -> list[int]:
    """Places of the classes in the chosen order."""
    match order:
        case Order.NAME:
            return sorted(range(len(classes)), key=lambda k: (classes[k].casefold(), classes[k]))
        case Order.LIKENESS:
            return order_by_likeness(matrix)
        case Order.MISTAKES:
            mistakes = matrix.sum(axis=1) - matrix.diagonal()
            return sorted(range(len(classes)), key=lambda k: -int(mistakes[k]))


def rows(classes: Sequence[str], matrix: NDArray[np.int64], places: Sequence[int], numbers: Numbers) -> list[Row]:
    """Rows and cells in the order of ``places``."""
    return [_row(classes, matrix, k, places, numbers) for k in places]


def _row(classes: Sequence[str], matrix: NDArray[np.int64], k: int, places: Sequence[int], numbers: Numbers) -> Row:
    images = int(matrix[k].sum())
    cells = (_cell(classes[k], classes[other], int(matrix[k, other]), images, numbers) for other in places)
    return Row(classes[k], images, tuple(cells))


def _cell(actual: str, predicted: str, count: int, images: int, numbers: Numbers) -> Cell:
    share = count / images if images else 0.0
    text = "" if not count else f"{count:,}" if numbers is Numbers.COUNTS else f"{100 * share:.0f}"
    level = 0 if actual == predicted or not count else 1 + sum(share >= edge for edge in _LEVELS)
    return Cell(actual, predicted, count, text, level, numbers is Numbers.SHARES)
