"""Constant part and cost of a unit, from few and odd measurements."""

import pytest

from backend.training.forecast.fit import Line, fit


def test_amounts_that_differ_tell_the_constant_part_from_the_cost_of_a_unit() -> None:
    line = fit([(10, 3.0), (100, 12.0), (1000, 102.0)])

    assert line.constant == pytest.approx(2.0)
    assert line.of_one == pytest.approx(0.1)
    assert line.seconds(500) == pytest.approx(52.0)


def test_one_measurement_among_many_that_a_busy_machine_spoilt_changes_nothing() -> None:
    good = [(amount, 1.0 + 0.1 * amount) for amount in (20, 50, 100, 200, 400)]

    line = fit([*good, (30, 400.0)])

    assert line.of_one == pytest.approx(0.1)
    assert line.constant == pytest.approx(1.0)


def test_amounts_alike_are_all_cost_of_units() -> None:
    assert fit([(100, 20.0), (110, 22.0)]) == Line(0.0, 0.2)


def test_a_tiny_measurement_on_a_busy_machine_is_limited_by_the_test_of_the_machine() -> None:
    # 12.5 s a picture, where the test took 0.2: at most three times that, and five seconds for the rest.
    line = fit([(4, 50.0)], tested=0.2)

    assert line.constant == 5.0
    assert line.of_one == pytest.approx(0.6)
    assert line.seconds(126) == pytest.approx(80.6)


def test_a_large_measurement_near_that_of_the_test_is_used_unchanged() -> None:
    assert fit([(1000, 400.0)], tested=0.2) == Line(0.0, 0.4)


def test_more_pictures_in_less_time_is_noise_and_no_gain() -> None:
    assert fit([(2, 10.0), (8, 4.0)]).of_one == pytest.approx(0.25)
