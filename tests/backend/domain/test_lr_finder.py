import math
from dataclasses import asdict
from typing import Any

import pytest

from backend.domain.json import Json
from backend.domain.lr_finder import Curve, curve_of, finding, max_lr_for, rate_at, suggestions, words
from tests.fixtures.fastai import figures

RULES = ("valley", "steep", "minimum", "slide")


def named(key: str) -> Any:  # Any: pytest's parameters
    return [pytest.param(one, id=one["name"]) for one in figures(key)]


def curve(losses: list[float]) -> Curve:
    """The points that count of a search with one seed."""
    return curve_of([losses], 100)


def bowl() -> list[float]:
    return [3.6 - 2.4 / (1 + math.exp(-0.14 * (step - 55))) + 0.02 * max(0.0, step - 80) ** 2 for step in range(100)]


@pytest.mark.parametrize("figure", named("lr_finder"))
def test_every_rule_shows_what_fastais_does(figure: dict[str, Json]) -> None:
    found = asdict(suggestions(figure["learning_rates"], figure["losses"]))
    for rule in RULES:
        expected = figure[rule]
        assert found[rule] == (None if expected is None else pytest.approx(expected, rel=1e-6)), rule


@pytest.mark.parametrize("figure", named("lr_find_cuts"))
def test_a_recorded_curve_is_cut_as_fastai_does(figure: dict[str, Json]) -> None:
    recorded = [math.nan if loss is None else loss for loss in figure["losses"]]
    points = curve_of([recorded], figure["steps"])
    found = asdict(suggestions(points.learning_rates, points.losses))
    for rule in RULES:
        assert found[rule] == pytest.approx(figure[rule], rel=1e-6), rule


def test_rates_grow_from_1e_7_towards_10() -> None:
    assert [rate_at(step, 100) for step in (0, 50, 99)] == pytest.approx([1e-7, 1e-3, 8.317637711])


def test_the_curve_is_the_middle_one_of_the_seeds_and_the_band_their_range() -> None:
    points = curve_of([[1.0] * 30, [2.0] * 30, [4.0] * 28], 100)
    assert len(points) == 28 - 5 - 10
    assert (points.losses[0], points.losses_low[0], points.losses_high[0]) == (2.0, 1.0, 4.0)


def test_a_clear_slope_gives_the_valley_in_two_digits_and_shows_why() -> None:
    found = finding(curve(bowl()), freeze=True)
    assert (found.rule, found.chosen, found.max_lr) == ("valley", 2.8e-4, 2.8e-4)
    assert found.explanation.startswith("Below 6.3e-5 the model hardly improves; above 1.1 training becomes unstable.")
    assert "2.8e-4 is about the middle of the long slope" in found.explanation


def test_an_unfrozen_stage_gets_a_hundredth_for_the_lowest_layers_and_a_tenth_for_the_head() -> None:
    assert max_lr_for(2.5e-3, freeze=False) == (2.5e-5, 2.5e-4)
    assert max_lr_for(2.5e-3, freeze=True) == 2.5e-3


def test_a_loss_that_only_rises_gives_no_rule_but_the_usual_rate() -> None:
    found = finding(curve([1 + (step / 50) ** 2 for step in range(100)]), freeze=True)
    assert (found.rule, found.chosen, found.suggestions.found) == (None, 1e-3, {})
    assert found.explanation == (
        "No slope found: the loss only rises. Most often the labels are mixed up, or there are too few pictures. "
        "A usual rate to begin with is 1e-3."
    )


def test_no_advice_about_mixed_up_labels_for_a_model_that_has_learnt() -> None:
    losses = [0.3] * 70 + [0.3 + 0.05 * step for step in range(30)]
    found = finding(curve(losses), freeze=False, has_learnt=True)
    assert found.max_lr == (1e-5, 1e-4)
    assert found.explanation == (
        "No slope found: this model is already trained, so the loss stays flat, then climbs from about 4.8e-2. "
        "A usual rate to begin with is 1e-3."
    )


def test_fewer_than_six_points_mean_nothing() -> None:
    found = finding(curve_of([[1.0] * 20], 100), freeze=True)
    assert (found.rule, found.chosen) == (None, 1e-3)
    assert found.explanation.startswith("Fewer than 6 batches could be used")


def test_a_curve_without_any_point_gives_the_usual_rate() -> None:
    assert finding(curve_of([[math.nan] * 100], 100), freeze=True).chosen == 1e-3


def test_few_pictures_are_said() -> None:
    assert "only 8 training pictures" in finding(curve(bowl()), freeze=True, images=8).explanation


@pytest.mark.parametrize(("rate", "written"), [(2.5e-3, "2.5e-3"), (1e-3, "1e-3"), (0.1, "1e-1"), (1.1, "1.1")])
def test_rates_are_written_as_people_do(rate: float, written: str) -> None:
    assert words(rate) == written


def test_rules_that_disagree_widely_make_the_curve_a_weak_guide() -> None:
    losses = [3.0] * 11 + [2.6] + [2.5 - 0.01 * step for step in range(88)]
    explanation = finding(curve(losses), freeze=True).explanation

    assert "The rules disagree widely, so this curve is a weak guide. 1e-3 is a usual rate." in explanation
