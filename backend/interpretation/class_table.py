"""The figures of every class with their ranges, in the order that was asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from backend.domain.results import ClassReport

TOO_FEW: Final = 10
"""With fewer test pictures than this, a class's figures say next to nothing."""


class SortBy(StrEnum):
    """Columns of the table."""

    NAME = "name"
    IMAGES = "images"
    RIGHT = "right"
    PRECISION = "precision"
    RECALL = "recall"
    F1 = "f1"


@dataclass(frozen=True, slots=True)
class Share:
    """A share and its 95 % range, all in [0, 1]."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class; None where there were no pictures to tell from."""

    name: str
    images: int
    right: int
    precision: Share | None
    recall: Share | None
    f1: Share | None

    @property
    def is_too_few(self) -> bool:
        """Whether the figures say next to nothing."""
        return self.images < TOO_FEW


def class_table(reports: Sequence[ClassReport], sort: SortBy, *, down: bool) -> list[ClassRow]:
    """One row per class; what can't be said stands last, whichever way it is sorted."""
    rows = sorted((_row(report) for report in reports), key=lambda row: (row.name.casefold(), row.name))
    known = [row for row in rows if _value(row, sort) is not None]
    unknown = [row for row in rows if _value(row, sort) is None]
    return sorted(known, key=lambda row: _value(row, sort), reverse=down) + unknown  # type: ignore[arg-type,return-value]  # no None is left


def _row(report: ClassReport) -> ClassRow:
    return ClassRow(
        report.name,
        report.images,
        report.correct,
        _share(report.precision, report.precision_interval),
        _share(report.recall, report.recall_interval),
        _share(report.f1, report.f1_interval),
    )


def _share(value: float | None, interval: tuple[float, float] | None) -> Share | None:
    return None if value is None or interval is None else Share(value, *interval)


def _value(row: ClassRow, sort: SortBy) -> float | str | None:
    match sort:
        case SortBy.NAME:
            return row.name.casefold()
        case SortBy.IMAGES:
            return row.images
        case SortBy.RIGHT:
            return row.right
        case SortBy.PRECISION:
            return row.precision.value if row.precision else None
        case SortBy.RECALL:
            return row.recall.value if row.recall else None
        case SortBy.F1:
            return row.f1.value if row.f1 else None
