"""Rough times in words."""

import pytest

from backend.training.forecast.durations import eta_words, range_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (4, "about 10 s"),
        (41, "50–60 s"),
        (85, "90–120 s"),
        (100, "2–3 min"),
        (600, "10–13 min"),
        (3600, "60–80 min"),
    ],
)
def test_a_rough_time_is_a_range_rounded_up(seconds: float, words: str) -> None:
    assert eta_words(seconds) == words


def test_a_forecast_is_one_range_in_one_unit() -> None:
    assert range_words(82, 190) == "2–4 min"
    assert range_words(300, 1500) == "5–25 min"


def test_hours_are_shown_without_minutes() -> None:
    assert range_words(9800, 14900) == "3–4.5 h"
