"""The page of one test picture of a run."""

import html

import pytest
from starlette.testclient import TestClient

from backend.datasets.labels.repository import IMAGE, Author, Change, LabelLedger
from backend.db.session import Database
from backend.domain.ids import Digest, ImageId
from backend.interpretation.answers import AnsweredImage
from backend.interpretation.record import record_predictions
from backend.prediction.picture_page import Answer, best_answers
from backend.storage.local import LocalStorage
from backend.tables.datasets import ImageRow, VersionImageRow
from backend.tables.training import RunRow
from tests.backend.interpretation.conftest import TriedRun, add_checkpoint, add_run, evaluation_of
from worker.engine.checkpoints.checkpoint import write_predictions

PAGE = {"Accept": "text/html"}
OWL_TAKEN_FOR_DOG = AnsweredImage(
    ImageId("i"), Digest("d"), "owl/1.png", 9, 9, "owl", "dog", 2.3, probability_actual=0.1, probability_predicted=0.6
)


@pytest.fixture
def tried_run(database: Database) -> TriedRun:
    """A run with one finished stage and its answers."""
    with database.write() as session:
        run_id, images = add_run(session)
        checkpoint_id = add_checkpoint(session, run_id)
        record_predictions(session, checkpoint_id, evaluation_of(images))
    return TriedRun(run_id, checkpoint_id, images)


def shown(client: TestClient, tried_run: TriedRun) -> str:
    answer = client.get(f"/runs/{tried_run.run_id}/images/{tried_run.images[1]}", headers=PAGE)
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def test_a_test_picture_has_a_page_of_its_own(client: TestClient, tried_run: TriedRun) -> None:
    text = shown(client, tried_run)

    assert "<h1>cat, predicted dog</h1>" in text
    assert "Confidence in label" in text
    assert f'data-address="/api/v1/runs/{tried_run.run_id}/images/{tried_run.images[1]}/heatmap?' in text


def test_a_picture_that_was_not_tested_is_not_found_in_words(client: TestClient, tried_run: TriedRun) -> None:
    answer = client.get(f"/runs/{tried_run.run_id}/images/unknown", headers=PAGE)

    assert answer.status_code == 404
    assert "isn't among the test pictures" in html.unescape(answer.text)


def test_before_the_first_stage_it_shows_there_is_nothing_yet(client: TestClient, database: Database) -> None:
    with database.write() as session:
        run_id, images = add_run(session)

    answer = client.get(f"/runs/{run_id}/images/{images[0]}", headers=PAGE)

    assert "No results yet" in answer.text


def test_it_shows_all_classes_that_the_checkpoint_answered_with(
    client: TestClient, tried_run: TriedRun, storage: LocalStorage
) -> None:
    assert '<li data-class="owl">' not in shown(client, tried_run)
    write_predictions(storage.folder("checkpoints", "stage-0"), "valid", evaluation_of(tried_run.images))

    text = shown(client, tried_run)

    assert (
        text.index('<li data-class="dog">') < text.index('<li data-class="cat">') < text.index('<li data-class="owl">')
    )


def test_it_shows_what_was_done_to_its_label(client: TestClient, tried_run: TriedRun, database: Database) -> None:
    with database.write() as session:
        picture = session.get_one(ImageRow, tried_run.images[1])
        version_id = session.get_one(RunRow, tried_run.run_id).version_id
        session.add(VersionImageRow(version_id=version_id, image_id=picture.id, label="cat", split="valid"))
        change = Change(IMAGE, picture.digest, "cat", "dog", "cat", image_id=picture.id, path=picture.path)
        LabelLedger(session).add(picture.dataset_id, "is now cat", [change], Author("Ana", "top-losses"))

    text = shown(client, tried_run)

    assert "“dog” to “cat”, Ana," in text
    assert "Version 1</a>: cat, Validation" in text
    assert "run 1, this one" in text


def test_the_five_likeliest_classes_are_listed_with_the_label_among_them() -> None:
    shares = {"dog": 0.6, "cat": 0.2, "fox": 0.06, "wolf": 0.05, "hare": 0.04, "mole": 0.03, "owl": 0.02}

    answers = best_answers(OWL_TAKEN_FOR_DOG, shares)

    assert [answer.name for answer in answers] == ["dog", "cat", "fox", "wolf", "hare", "owl"]
    assert (answers[0].mark, answers[1].mark, answers[5].mark) == ("predicted", "", "label")


def test_without_the_checkpoints_files_the_two_that_are_known_are_listed() -> None:
    assert best_answers(OWL_TAKEN_FOR_DOG, {}) == [Answer("dog", 0.6, "predicted"), Answer("owl", 0.1, "label")]
