"""How costs at each threshold are drawn and written."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from backend.domain.confidence.costs import PERCENTS, Outcome
from backend.prediction.confidence.two_classes import TwoClasses

_TABLE_STEP: Final = 5


@dataclass(frozen=True, slots=True)
class CostRow:
    """A threshold in the table behind the chart; ``mark`` says in words what is special about it."""

    outcome: Outcome
    cost: str
    mark: str


@dataclass(frozen=True, slots=True)
class CostChart:
    """Cost over threshold: the line's points for SVG, 0 to 100 both ways; ``top``: the cost at the upper edge.

    Only at 0 and 100 % may a cost be higher than that; the line then ends at the edge.
    """

    points: str
    top: str
    rows: tuple[CostRow, ...]


def cost_chart(found: TwoClasses) -> CostChart:
    """The line, and its table: each fifth threshold, the shown one and the cheapest one."""
    costs = [one.cost(found.costs) for one in found.by_percent]
    # At 0 and 100 % nearly all of one class is wrong: drawn to there, all other costs would lie on the ground.
    top = max(costs[1:-1]) or max(costs)
    heights = [min(100.0, 100 * cost / top) if top else 0.0 for cost in costs]
    points = " ".join(f"{percent},{100 - height:.1f}" for percent, height in zip(PERCENTS, heights, strict=True))
    return CostChart(points, cost_words(top), tuple(_rows(found)))


def _rows(found: TwoClasses) -> Iterator[CostRow]:
    for one in found.by_percent:
        marks = [
            word for word, of in (("shown", found.shown), ("lowest cost", found.best)) if one.percent == of.percent
        ]
        if marks or one.percent % _TABLE_STEP == 0:
            yield CostRow(one, cost_words(one.cost(found.costs)), ", ".join(marks))


def cost_words(cost: float) -> str:
    """A cost with at most two decimals: ``1,200``, ``0.5``."""
    text = f"{cost:,.2f}"
    return text.rstrip("0").rstrip(".")
