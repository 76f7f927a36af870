"""The parts of a training, and which of them is under way."""

import pytest

from backend.db.session import Database
from backend.domain.training import Recipe, StageRequest, TrainingRequest, resolve
from backend.training import record
from backend.training.forecast.eta import Standing
from backend.training.forecast.work import Counts
from backend.training.run_page.timeline import parts_of, timeline
from tests.backend.training.scene import COUNTS, Scene

STAGES = (StageRequest(freeze=True, epochs=4, max_lr="find"), StageRequest(freeze=False, epochs=2))


def test_each_part_is_listed_once_in_the_order_in_which_they_are_done() -> None:
    config = resolve(TrainingRequest(recipe=Recipe.RECOMMENDED, stages=STAGES))

    assert parts_of(config, Counts(80, 20, 0)) == [
        (None, "start"), (None, "data"),
        (0, "features"), (0, "rate"), (0, "learn"), (0, "export"),
        (1, "learn"), (1, "export"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("standing", "states"),
    [
        (Standing(), "1------"),
        (Standing(activity="data"), "x1-----"),
        (Standing(0, 0, activity="learn"), "xxx1---"),
        (Standing(0, 3, activity="export"), "xxxx1--"),
        (Standing(1, 0, activity="learn"), "xxxxx1-"),
    ],
)
def test_the_part_under_way_is_where_the_runs_cursor_is(database: Database, standing: Standing, states: str) -> None:
    scene = Scene(database)
    run_id = scene.run()
    claim = scene.claim()
    with database.write() as session:
        record.record_events(session, claim, [], standing)

    parts = timeline(scene.view(run_id), COUNTS)

    signs = {"done": "x", "running": "1", "not yet": "-"}
    assert "".join(signs[part.state.value] for part in parts) == states
