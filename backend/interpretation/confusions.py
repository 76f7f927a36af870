"""What the page of the confusion matrix shows: the matrix, and the pairs of classes that were confused most."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends
from sqlalchemy.orm import Session

from backend.domain.confused_pairs import both_ways
from backend.domain.results import most_confused
from backend.interpretation import matrix_view, service
from backend.interpretation.matrix_view import Numbers, Order
from backend.interpretation.service import Results, Summary

PAIRS: Final = 30
"""Pairs of classes that are listed, each both ways."""
PAIRS_OPEN: Final = 6
"""Of these, as many are seen at once; the others open with a click."""
PICTURES_A_WAY: Final = 6


@dataclass(frozen=True, slots=True)
class MatrixChoice:
    """How the matrix is shown; ``of``: the class whose mistakes are listed, where there are too many for a table."""

    order: Order
    numbers: Numbers
    of: str


def _choice(order: Order = Order.NAME, numbers: Numbers = Numbers.COUNTS, of: str = "") -> MatrixChoice:
    return MatrixChoice(order, numbers, of)


MatrixChoiceDep = Annotated[MatrixChoice, Depends(_choice)]


def confusions_context(
    session: Session, results: Results, summary: Summary, choice: MatrixChoice
) -> dict[str, Any]:  # Any: the template's context
    """What the template shows, in one statement, however many classes and pairs there are."""
    confusions = most_confused(results.classes, summary.matrix)
    pairs = both_ways(confusions)
    shown = [way for pair in pairs[:PAIRS] for way in pair.ways if way.count]
    indices = matrix_view.ordered(results.classes, summary.matrix, choice.order)
    colours = matrix_view.Colours(summary.matrix, choice.numbers)
    is_table = len(results.classes) <= matrix_view.LARGEST_TABLE
    return {
        "order": choice.order,
        "numbers": choice.numbers,
        "rows": matrix_view.rows(results.classes, summary.matrix, indices, choice.numbers, colours) if is_table else [],
        "legend": colours.legend,
        "cell_size": matrix_view.cell_size(len(results.classes)),
        "indices": indices,
        "pairs": pairs[:PAIRS],
        "pairs_open": PAIRS_OPEN,
        "more_pairs": max(0, len(pairs) - PAIRS),
        "faces": service.faces(session, results, shown, each=PICTURES_A_WAY),
        "images_of": {report.name: report.images for report in summary.per_class},
        "untested": [report.name for report in summary.per_class if not report.images],
        "of": choice.of,
        "mixed_up": [pair for pair in confusions if choice.of in (pair.actual, pair.predicted)] if choice.of else [],
    }
