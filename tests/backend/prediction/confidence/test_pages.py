"""The page “How sure”, which works without a script too."""

import html
import re

import pytest
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.ledger.job import TRAINER_CRASHED, Outcome
from backend.ledger.repository import Ledger
from backend.storage.local import LocalStorage
from backend.training.checkpoint_jobs.service import show
from tests.backend.interpretation.conftest import add_run
from tests.backend.prediction.confidence.conftest import Scene, add_scene
from tests.fixtures.strangeness import claim_measurement

PAGE = {"Accept": "text/html"}


def shown(client: TestClient, scene: Scene, query: str = "") -> str:
    """The words of the page, with single spaces."""
    answer = client.get(f"{scene.page}{query}", headers=PAGE)
    assert answer.status_code == 200, answer.text
    text = html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"(?s)<(head|nav|svg).*?</\1>", " ", answer.text)))
    return re.sub(r"\s+", " ", text)


def post(client: TestClient, scene: Scene, **fields: str) -> str:
    """What the page says after a button was pressed."""
    answer = client.post(scene.page, data={"checkpoint": scene.checkpoint_id} | fields, headers=PAGE)
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def test_it_shows_confidence_and_truth_and_the_temperature(client: TestClient, scene: Scene) -> None:
    text = shown(client, scene)

    assert "On 200 test pictures it was 90.9 % confident on average, and 80 % were right." in text
    assert "it is more confident than it should be" in text
    assert "Use the temperature 1.44" in text
    assert "Nothing is chosen: answers are as the network gives them." in text


def test_the_slider_shows_what_a_threshold_means(client: TestClient, scene: Scene) -> None:
    text = shown(client, scene, "?shown=true&threshold=90")

    assert "Sure of 90 % or more, it answers 100 % of the pictures and errs in 20 % of its answers." in text
    assert "Wrong: 40 of 200, likely 15 to 26 %." in text
    assert "Not saved yet." in text


def test_the_temperature_changes_what_a_threshold_means(client: TestClient, scene: Scene) -> None:
    text = shown(client, scene, "?shown=true&threshold=90&temperature=true")

    assert "Sure of 90 % or more, it answers 0 % of the pictures." in text


def test_a_class_can_be_given_another_threshold(client: TestClient, scene: Scene) -> None:
    text = shown(client, scene, "?shown=true&threshold=95&limit-1=50&limit-2=")

    assert "it answers 34 % of the pictures" in text
    assert "1 class has a threshold of its own." in text


def test_one_button_keeps_what_is_shown(client: TestClient, scene: Scene) -> None:
    page = client.get(f"{scene.page}?shown=true&threshold=90&temperature=true", headers=PAGE).text
    found = re.search(r'name="choice" value="([^"]*)"', page)
    assert found is not None

    text = post(client, scene, choice=html.unescape(found[1]), action="choose")

    assert "Saved. Answers and downloads follow these settings." in text
    assert "same answers by the ONNX file on 12 pictures" in text
    settings = client.get(f"{scene.api}/confidence").json()["settings"]
    assert (settings["threshold"], settings["temperature"]) == (0.9, pytest.approx(1.4427, abs=2e-3))


def test_one_button_uses_the_temperature_and_one_leaves_it_out(client: TestClient, scene: Scene) -> None:
    used = post(client, scene, choice='{"threshold": 0.8}', action="temperature")
    settings = client.get(f"{scene.api}/confidence").json()["settings"]
    post(client, scene, choice='{"threshold": 0.8, "temperature": true}', action="temperature")

    assert "Stop using the temperature" in used
    assert (settings["threshold"], settings["temperature"]) == (0.8, pytest.approx(1.4427, abs=2e-3))
    assert client.get(f"{scene.api}/confidence").json()["settings"]["temperature"] is None


def test_the_usual_is_one_button_away(client: TestClient, scene: Scene) -> None:
    post(client, scene, choice='{"threshold": 0.9}', action="choose")

    text = post(client, scene, action="reset")

    assert "Answers are as before." in text
    assert client.get(f"{scene.api}/confidence").json()["settings"]["threshold"] is None


@pytest.mark.parametrize("choice", ["nonsense", '{"threshold": 7}', '{"surprise": 1}'])
def test_a_choice_that_nobody_could_make_is_refused_in_words(client: TestClient, scene: Scene, choice: str) -> None:
    assert "These settings can't be used." in post(client, scene, choice=choice, action="choose")


def test_none_of_these_is_measured_by_a_button_and_then_has_a_limit(client: TestClient, scene: Scene) -> None:
    before = shown(client, scene)
    post(client, scene, action="measure")
    scene.measure_what_waits()

    text = shown(client, scene, "?shown=true&refused=5&unknown=20")

    assert "Measure strangeness" in before
    assert "It refuses 8 % of the pictures of its classes" in text
    assert "If 20 % of all pictures show something else," in text
    assert "Measured by the distance to the classes (relative Mahalanobis), on 36 training pictures." in text


def test_a_measurement_is_followed_and_what_was_chosen_meanwhile_is_not_lost(client: TestClient, scene: Scene) -> None:
    choice = '{"temperature": true, "threshold": 0.9, "class_thresholds": {"red": 0.5}}'
    answer = client.post(
        scene.page,
        data={"checkpoint": scene.checkpoint_id, "choice": choice, "action": "measure"},
        follow_redirects=False,
    )
    place = answer.headers["location"]
    waiting = client.get(place).text
    claim = claim_measurement(scene.database)
    assert claim is not None
    with scene.database.write() as session:
        show(session, claim, 20, 48)
    under_way = client.get(place).text
    with scene.database.write() as session:
        Ledger(session).close(claim.job_id, claim.attempt, Outcome.YIELDED, failure=TRAINER_CRASHED)
    interrupted = client.get(place).text

    assert place.endswith(f"checkpoint={scene.checkpoint_id}&shown=true&temperature=true&threshold=90&limit-2=50")
    assert "The measurement waits for a worker." in waiting
    assert "Learning what its own pictures look like: 20 of 48 pictures." in under_way
    assert "a training or a restart came first. It begins again by itself." in interrupted
    for text in (waiting, under_way, interrupted):
        assert "Not saved yet." in text
        assert "&#34;threshold&#34;:0.9" in text
    scene.measure_what_waits()
    assert "Not saved yet." in client.get(place).text


def test_a_kept_address_of_a_choice_that_is_not_possible_shows_what_is_chosen(client: TestClient, scene: Scene) -> None:
    text = shown(client, scene, "?shown=true&refused=5")

    assert "Measure strangeness" in text


def test_few_test_pictures_get_a_reason_instead_of_a_temperature(
    client: TestClient, database: Database, storage: LocalStorage
) -> None:
    scene = add_scene(database, storage, images=60, wrong=10)

    assert "it would follow chance with 60 test pictures" in shown(client, scene)


def test_a_model_whose_answers_are_gone_says_so(client: TestClient, scene: Scene, storage: LocalStorage) -> None:
    (storage.folder("checkpoints", scene.checkpoint_id) / "predictions.json").unlink()

    assert "aren't kept any more" in shown(client, scene)


def test_before_the_first_stage_there_is_nothing_yet(client: TestClient, database: Database) -> None:
    with database.write() as session:
        run_id, _ = add_run(session)

    answer = client.get(f"/runs/{run_id}/understand/sure", headers=PAGE)

    assert answer.status_code == 200


def test_the_try_page_leads_to_it(client: TestClient, scene: Scene) -> None:
    text = client.get(f"/checkpoints/{scene.checkpoint_id}/try", headers=PAGE).text

    assert f'href="{scene.page}?checkpoint={scene.checkpoint_id}"' in text
