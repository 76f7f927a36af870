"""What the run page shows beside the course's table."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.domain.events import StageStarted
from backend.domain.ids import VersionId
from backend.domain.training import Recipe, TrainingRequest, resolve
from backend.ledger.job import Failure
from backend.training import record as progress
from backend.training.forecast.eta import Standing
from backend.training.run_page.hardware import silence_words
from backend.training.run_page.settings import settings_in_words
from tests.backend.training.scene import Scene, epoch_finished, step_finished

PAGE = {"Accept": "text/html"}
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


def running(scene: Scene, version_id: VersionId | None = None, epochs: int = 0) -> str:
    """A run in its first stage, some epochs done."""
    run_id = scene.run(version_id)
    claim = scene.claim()
    with scene.database.write() as session:
        progress.begin(session, claim)
        begun = StageStarted(0, True, 4, 0, 100, "cpu")
        progress.record_events(session, claim, [begun], Standing(0, 0, 0.1, None, activity="learn"))
        for epoch in range(epochs):
            progress.record_epoch(
                session, claim, epoch_finished(0, epoch), None, Standing(0, epoch, 0.2, 90.0, activity="learn")
            )
        step = step_finished(100 * epochs + 38, epoch=epochs)
        progress.record_events(session, claim, [step], Standing(0, epochs, 0.2, 90.0, activity="learn"))
    return run_id


def test_the_row_under_way_counts_its_batches(client: TestClient, scene: Scene) -> None:
    run_id = running(scene, epochs=1)

    assert "38 of 100 batches" in client.get(f"/runs/{run_id}", headers=PAGE).text


def test_the_parts_of_a_run_under_way_are_lines_with_a_word(client: TestClient, scene: Scene) -> None:
    text = client.get(f"/runs/{running(scene)}", headers=PAGE).text

    assert '<li data-state="done">' in text
    assert 'Stage 1: Training</span> <span class="quiet">running</span>' in text
    assert 'Stage 2: Training</span> <span class="quiet">not yet</span>' in text


def test_what_is_said_in_words_is_hidden_for_the_run_and_comes_back(client: TestClient, scene: Scene) -> None:
    run_id = running(scene, epochs=2)
    said = "<b>In words:</b>"
    assert said in client.get(f"/runs/{run_id}", headers=PAGE).text

    hidden = client.post(f"/runs/{run_id}/remark", data={"show": "no"}, headers=PAGE).text
    assert said not in hidden
    assert "Say it in words" in hidden
    assert said not in client.get(f"/runs/{run_id}", headers=PAGE).text

    assert said in client.post(f"/runs/{run_id}/remark", data={"show": "yes"}, headers=PAGE).text


def test_a_run_in_line_names_who_is_before_it(client: TestClient, scene: Scene) -> None:
    version_id = scene.version()
    first = running(scene, version_id)
    waiting = scene.run(version_id)

    text = client.get(f"/runs/{waiting}", headers=PAGE).text

    assert "Ahead in the queue:" in text
    assert f'href="/runs/{first}"' in text
    assert "90–120 s left" in text


def test_a_loss_that_was_no_number_offers_a_search_for_a_rate(
    client: TestClient, scene: Scene, database: Database
) -> None:
    run_id = scene.run()
    claim = scene.claim()
    with database.write() as session:
        progress.begin(session, claim)
        progress.fail(session, claim, Failure("diverged", "The loss became infinite.", "Choose a smaller rate."))

    text = client.get(f"/runs/{run_id}", headers=PAGE).text

    assert "Find a rate" in text
    assert '<input type="hidden" name="find_row" value="0">' in text


@pytest.mark.parametrize(
    ("heard_s", "news_s", "words"),
    [
        (5, 5, ""),
        (5, 50, "No news for 50 s; checking. The worker is alive and progress is saved."),
        (45, 50, "The worker stopped answering 45 s ago. Training resumes from stage 1, epoch 2 once it is back."),
    ],
)
def test_silence_is_said_with_its_seconds(heard_s: int, news_s: int, words: str) -> None:
    heard, news = (NOW - timedelta(seconds=seconds) for seconds in (heard_s, news_s))

    assert silence_words(NOW, heard, news, "stage 1, epoch 2") == words


def test_settings_are_said_in_the_words_of_the_form() -> None:
    config = resolve(TrainingRequest(recipe=Recipe.LESSON_1)).model_dump(mode="json")

    sections: dict[str, Any] = {one.title: dict(one.rows) for one in settings_in_words(config, [0.0025, None])}

    assert sections["Model"]["Preset"] == "The course, lesson 1"
    assert sections["Stage 1"]["Rate that the search found"] == "2.5e-3"
    assert sections["Stage 2"]["Rate, first layers"] == "1e-6"
    assert sections["Pictures"]["Unequal classes"] == "change nothing"
