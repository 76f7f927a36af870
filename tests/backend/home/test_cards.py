"""What the card of a dataset says."""

from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.home.cards import DatasetCard, Status
from backend.training import record
from backend.training.forecast.eta import Standing
from tests.backend.training.scene import Scene, stage_finished, stored_checkpoint

PAGE = {"Accept": "text/html"}


def card(trend: list[float]) -> DatasetCard:
    return DatasetCard("d", "pets", 9, 3, [], None, trend, Status(""), datetime(2026, 11, 28, tzinfo=UTC), "", [])


@pytest.mark.parametrize(
    ("trend", "points"),
    [([], ""), ([0.5], ""), ([0.5, 0.9, 0.7], "0.0,22.0 50.0,2.0 100.0,12.0"), ([0.8, 0.8], "0.0,12.0 100.0,12.0")],
)
def test_its_runs_are_a_line(trend: list[float], points: str) -> None:
    assert card(trend).sparkline == points


def test_it_shows_that_a_training_runs_and_not_that_there_was_none(client: TestClient, database: Database) -> None:
    scene = Scene(database)
    scene.run()
    assert "training queued" in client.get("/", headers=PAGE).text

    scene.claim()

    text = client.get("/", headers=PAGE).text
    assert "training, 0 %" in text
    assert "not trained yet" not in text


def test_a_running_training_counts_more_than_a_newer_one_that_waits(client: TestClient, database: Database) -> None:
    scene = Scene(database)
    version_id = scene.version()
    scene.run(version_id)
    scene.claim()
    scene.run(version_id)

    assert "training, 0 %" in client.get("/", headers=PAGE).text


def test_a_trained_model_can_be_tried_from_the_card(client: TestClient, database: Database) -> None:
    scene = Scene(database)
    scene.run()
    claim = scene.claim()
    with database.write() as session:
        record.record_checkpoint(session, claim, stage_finished(0), stored_checkpoint(), Standing())
    scene.finish(claim)

    text = client.get("/", headers=PAGE).text

    assert "Try the model" in text
    assert "Results" in text
