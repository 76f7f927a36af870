"""What it costs to predict one of two classes from each probability on."""

import numpy as np
import pytest

from backend.domain.confidence.costs import Costs, Outcome, cheapest, outcomes

ILL = np.array([0.9, 0.7, 0.4, 0.2])
HEALTHY = np.array([0.6, 0.3, 0.1, 0.1, 0.0])
FOUND = outcomes(np.concatenate([ILL, HEALTHY]), np.array([True] * 4 + [False] * 5))


def test_at_each_threshold_it_counts_what_is_found_missed_and_false() -> None:
    assert len(FOUND) == 101
    assert FOUND[0] == Outcome(0, 4, 0, 5, 0)
    assert FOUND[35] == Outcome(35, 3, 1, 1, 4)
    assert FOUND[50] == Outcome(50, 2, 2, 1, 4)
    assert FOUND[65] == Outcome(65, 2, 2, 0, 5)
    assert FOUND[100] == Outcome(100, 0, 4, 0, 5)


@pytest.mark.parametrize("percent", [10, 20, 29, 57, 58, 70, 90])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_probability_that_is_just_the_threshold_reaches_it(percent: int, kind: type[np.floating]) -> None:
    found = outcomes(np.array([percent / 100], dtype=kind), np.array([True]))

    assert found[percent].true_positive == 1
    assert found[percent + 1].true_positive == 0


def test_the_cost_weighs_each_kind_of_mistake() -> None:
    assert Outcome(50, 8, 2, 3, 7).cost(Costs()) == 5
    assert Outcome(50, 8, 2, 3, 7).cost(Costs(missed=10, false=0.5)) == 21.5


def test_the_cheapest_threshold_follows_the_costs() -> None:
    assert cheapest(FOUND, Costs()) == Outcome(40, 3, 1, 1, 4)
    assert cheapest(FOUND, Costs(missed=10)) == Outcome(20, 4, 0, 2, 3)
    assert cheapest(FOUND, Costs(false=10)) == Outcome(61, 2, 2, 0, 5)


def test_of_equal_costs_the_threshold_nearest_to_the_middle_is_chosen() -> None:
    assert cheapest(FOUND, Costs(0, 0)).percent == 50
    assert cheapest([Outcome(49, 1, 1, 0, 1), Outcome(51, 1, 1, 0, 1)], Costs()).percent == 49


def test_sums_that_are_equal_on_paper_are_equal() -> None:
    three_missed, one_of_each = Outcome(60, 0, 3, 0, 3), Outcome(50, 2, 1, 1, 2)

    assert three_missed.cost(Costs(0.1, 0.2)) == one_of_each.cost(Costs(0.1, 0.2)) == 0.3


def test_without_pictures_of_a_class_nothing_of_it_is_missed() -> None:
    assert outcomes(np.array([0.4]), np.array([False]))[30] == Outcome(30, 0, 0, 1, 0)
