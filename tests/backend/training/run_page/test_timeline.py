"""The parts of a training as lines, and which of them is under way."""

from typing import Any

import pytest

from backend.domain.training import Recipe, StageRequest, TrainingRequest, resolve
from backend.training.forecast.work import Counts
from backend.training.run_page.timeline import lines_of, reached

STAGES = (StageRequest(freeze=True, epochs=4, max_lr="find"), StageRequest(freeze=False, epochs=2))
KEYS = lines_of(resolve(TrainingRequest(recipe=Recipe.RECOMMENDED, stages=STAGES)), Counts(80, 20, 0))


def phase(key: str) -> tuple[str, dict[str, Any]]:
    """The training has begun with such a part."""
    return "phase", {"phase": key, "text": "…"}


def test_each_part_is_a_line_of_its_own_in_the_order_in_which_they_are_done() -> None:
    assert KEYS == [
        (None, "start"), (None, "data"),
        (0, "features"), (0, "rate"), (0, "learn"), (0, "export"),
        (1, "learn"), (1, "export"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("news", "line"),
    [
        ([], (None, "start")),
        ([phase("weights"), phase("data")], (None, "data")),
        ([phase("data"), phase("features")], (0, "features")),
        ([phase("features"), phase("rate"), ("stage", {"stage": 0})], (0, "learn")),
        ([("stage", {"stage": 0}), phase("export")], (0, "export")),
        ([("stage", {"stage": 0}), ("checkpoint", {"stage": 0})], (1, "learn")),
        ([("checkpoint", {"stage": 0}), phase("export")], (1, "export")),
    ],
)
def test_the_line_under_way_is_the_furthest_that_was_told_of(
    news: list[tuple[str, dict[str, Any]]], line: tuple[int | None, str]
) -> None:
    assert KEYS[reached(KEYS, news)] == line


def test_pictures_read_again_after_an_interruption_lead_nobody_back() -> None:
    news = [("stage", {"stage": 0}), phase("resume"), phase("data")]

    assert KEYS[reached(KEYS, news)] == (0, "learn")


def test_after_the_last_model_no_line_is_under_way() -> None:
    assert reached(KEYS, [("checkpoint", {"stage": 1})]) == len(KEYS)
