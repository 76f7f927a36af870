"""How costs at each threshold are drawn and written."""

from dataclasses import replace

import numpy as np
import pytest

from backend.domain.confidence.costs import Costs, Outcome, cheapest, outcomes
from backend.prediction.confidence.costs_view import cost_chart, cost_words
from backend.prediction.confidence.two_classes import TwoClasses

FOUND = outcomes(np.array([0.9, 0.42, 0.3]), np.array([True, True, False]))


def two_classes(costs: Costs, percent: int = 50) -> TwoClasses:
    return TwoClasses(
        ("ill", "healthy"), "ill", "healthy", None, False, costs, FOUND, FOUND[percent], cheapest(FOUND, costs)
    )


def test_the_line_goes_from_the_lowest_threshold_to_the_highest_and_the_largest_cost_is_at_the_top() -> None:
    chart = cost_chart(two_classes(Costs(missed=5)))

    points = chart.points.split()
    assert (points[0], points[30], points[31], points[43], points[91], points[100]) == (
        "0,90.0",
        "30,90.0",
        "31,100.0",
        "43,50.0",
        "91,0.0",
        "100,0.0",
    )
    assert chart.top == "10"


def test_the_table_has_each_fifth_threshold_the_shown_one_and_the_cheapest() -> None:
    rows = cost_chart(two_classes(Costs(), percent=37)).rows

    assert [row.outcome.percent for row in rows if row.outcome.percent % 5] == [37, 42]
    assert len(rows) == 23
    assert [(row.outcome.percent, row.mark, row.cost) for row in rows if row.mark] == [
        (37, "shown", "0"),
        (42, "lowest cost", "0"),
    ]


def test_what_only_the_outermost_thresholds_cost_does_not_flatten_the_line() -> None:
    found = two_classes(Costs(false=9))

    chart = cost_chart(replace(found, by_percent=(Outcome(0, 2, 0, 50, 0), *FOUND[1:])))

    assert chart.top == "9"
    assert chart.points.startswith("0,0.0 1,0.0 ")
    assert chart.points.endswith(" 100,77.8")


def test_where_nothing_costs_anything_the_line_lies_on_the_ground() -> None:
    chart = cost_chart(two_classes(Costs(0, 0)))

    assert chart.points.startswith("0,100.0 1,100.0 ")
    assert chart.top == "0"


@pytest.mark.parametrize(
    ("cost", "words"), [(0, "0"), (12.0, "12"), (0.5, "0.5"), (1234.25, "1,234.25"), (1_000_000, "1,000,000")]
)
def test_costs_are_written_without_needless_decimals(cost: float, words: str) -> None:
    assert cost_words(cost) == words
