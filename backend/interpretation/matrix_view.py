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

_SHARE_EDGES: Final = (0.0, 0.05, 0.1, 0.2, 0.4)
_LEVELS: Final = 5
_LARGE_CELLS: Final = 8
_MEDIUM_CELLS: Final = 16
_SMALL_CELLS: Final = 28


class Order(StrEnum):
    """How rows and columns are ordered."""

    NAME = "name"
    LIKENESS = "likeness"
    MISTAKES = "mistakes"


class Numbers(StrEnum):
    """What stands in a cell."""

    COUNTS = "counts"
    SHARES = "shares"
    COLUMN_SHARES = "column"

    @property
    def is_share(self) -> bool:
        """Whether it is a percentage, of the row or of the column."""
        return self is not Numbers.COUNTS


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes:
        text: what stands in it; empty where there are no pictures.
        level: how dark a mistake is drawn, 1 to 5; 0 for the diagonal and for nothing.
        share_of: what the text is a percentage of, "row" or "column"; empty where it is a count.
    """

    actual: str
    predicted: str
    count: int
    text: str
    level: int
    share_of: str = ""

    @property
    def is_right(self) -> bool:
        """Whether it lies on the diagonal."""
        return self.actual == self.predicted

    @property
    def words(self) -> str:
        """The cell as a sentence, for screen readers and the panel."""
        pictures = "no pictures" if not self.count else "1 picture" if self.count == 1 else f"{self.count:,} pictures"
        share = f", {self.text} % of the {self.share_of}" if self.share_of and self.text else ""
        return f"actual {self.actual}, predicted {self.predicted}: {pictures}{share}"


@dataclass(frozen=True, slots=True)
class Row:
    """All images of one actual class."""

    actual: str
    images: int
    cells: tuple[Cell, ...]


def ordered(classes: Sequence[str], matrix: NDArray[np.int64], order: Order) -> list[int]:
    """Indices of the classes in the chosen order."""
    match order:
        case Order.NAME:
            return sorted(range(len(classes)), key=lambda k: (classes[k].casefold(), classes[k]))
        case Order.LIKENESS:
            return order_by_likeness(matrix)
        case Order.MISTAKES:
            mistakes = matrix.sum(axis=1) - matrix.diagonal()
            return sorted(range(len(classes)), key=lambda k: -int(mistakes[k]))


class Colours:
    """Which mistakes are drawn how dark: by what stands in the cells, so that equal numbers look equal.

    Args:
        matrix: (K, K) image counts; rows are actual classes, columns predicted ones.
    """

    def __init__(self, matrix: NDArray[np.int64], numbers: Numbers) -> None:
        self._numbers = numbers
        most = int((matrix - np.diag(matrix.diagonal())).max(initial=0))
        self._edges = _SHARE_EDGES if numbers.is_share else _count_edges(most)
        self._most = most

    def level(self, count: int, share: float) -> int:
        """1 (light) to 5 (dark) of a mistake that was made ``count`` times, in a ``share`` of its row or column."""
        value = share if self._numbers.is_share else count
        return sum(value >= edge for edge in self._edges)

    @property
    def legend(self) -> list[tuple[int, str]]:
        """(level, what it stands for), lightest first; empty where there is no mistake."""
        if not self._most:
            return []
        words = self._share_words if self._numbers.is_share else self._count_words
        return [(level, words(level)) for level in range(1, len(self._edges) + 1)]

    def _share_words(self, level: int) -> str:
        low, after = (f"{100 * edge:.0f}" for edge in (*self._edges, 1.0)[level - 1 : level + 1])
        return f"{low} to {after} %"

    def _count_words(self, level: int) -> str:
        low = int(self._edges[level - 1])
        high = int(self._edges[level]) - 1 if level < len(self._edges) else self._most
        return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _count_edges(most: int) -> tuple[float, ...]:
    """The count at which each level begins: at most five steps of about equal ratio, up to the largest count."""
    return tuple(sorted({max(1, round(most ** (step / _LEVELS))) for step in range(_LEVELS)})) if most else ()


def cell_size(classes: int) -> str:
    """How large cells are drawn, so that the matrix and the panel beside it fit the page."""
    limits = (("large", _LARGE_CELLS), ("medium", _MEDIUM_CELLS), ("small", _SMALL_CELLS))
    return next((size for size, most in limits if classes <= most), "tiny")


def rows(
    classes: Sequence[str], matrix: NDArray[np.int64], indices: Sequence[int], numbers: Numbers, colours: Colours
) -> list[Row]:
    """Rows and cells in the order of ``indices``."""
    return [_row(classes, matrix, k, indices, numbers, colours) for k in indices]


def _row(
    classes: Sequence[str],
    matrix: NDArray[np.int64],
    k: int,
    indices: Sequence[int],
    numbers: Numbers,
    colours: Colours,
) -> Row:
    images = int(matrix[k].sum())
    # What a cell is a share of: its row, or each column.
    wholes = matrix.sum(axis=0) if numbers is Numbers.COLUMN_SHARES else np.full(len(classes), images)
    cells = (
        _cell(classes[k], classes[other], int(matrix[k, other]), int(wholes[other]), numbers, colours)
        for other in indices
    )
    return Row(classes[k], images, tuple(cells))


def _cell(actual: str, predicted: str, count: int, whole: int, numbers: Numbers, colours: Colours) -> Cell:
    share = count / whole if whole else 0.0
    text = "" if not count else f"{count:,}" if numbers is Numbers.COUNTS else f"{100 * share:.0f}"
    level = 0 if actual == predicted or not count else colours.level(count, share)
    share_of = {Numbers.SHARES: "row", Numbers.COLUMN_SHARES: "column"}.get(numbers, "")
    return Cell(actual, predicted, count, text, level, share_of)
