"""The train page: what it costs, what it offers, and what it says of values that can't be used."""

import re
from html import unescape

import pytest
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.dependencies import Services
from backend.domain.ids import VersionId
from backend.domain.training import StageRequest, TrainingRequest, resolve
from backend.ledger.job import Failure
from backend.ledger.repository import Ledger
from backend.training.forecast.speed_repository import Speeds
from backend.training.forecast.speeds import Speed
from backend.training.forecast.work import Work
from backend.training.form.fields import CHANGES, STAGE_FIELDS, run_fields
from tests.backend.training.scene import Scene
from tests.fixtures.bad_values import BAD_TEXTS, bodies_with_one_bad_value, checkers_words_in
from tests.fixtures.statements import statements_of

PAGE = {"Accept": "text/html"}
NET = "efficientnet-lite0"
TESTED = [
    Speed(Work.READ, None, 224, 24, 0.05),
    *(
        Speed(work, network, 224, amount, seconds)
        for network, slower in ((NET, 1.0), ("resnet18", 2.0))
        for work, amount, seconds in (
            (Work.ANSWER, 8, 0.16 * slower),
            (Work.MOVE, 8, 2.0 * slower),
            (Work.PREPARE, 1, 1.0 * slower),
            (Work.FEATURES, 24, 1.2 * slower),
        )
    ),
]


@pytest.fixture
def scene(services: Services) -> Scene:
    return Scene(services.database)


@pytest.fixture
def version_id(scene: Scene) -> VersionId:
    return scene.version()


def measured(database: Database) -> None:
    """The short test of this machine has been made."""
    with database.write() as session:
        Speeds(session).add("cpu: a", TESTED)


def train(scene: Scene, client: TestClient, version_id: VersionId, **config: object) -> None:
    """A training that came to its end."""
    client.post("/api/v1/runs", json={"version_id": version_id, "config": config})
    scene.finish(scene.claim())


def presets(page: str) -> list[str]:
    """Names of the presets in their order; after "more" those that are folded away."""
    return [name or "more" for name in re.findall(r'name="recipe" value="([^"]+)"|<details class="presets-more"', page)]


def test_a_change_of_the_form_costs_six_statements_at_most(
    client: TestClient, scene: Scene, version_id: VersionId
) -> None:
    measured(scene.database)
    train(scene, client, version_id)
    path, form = f"/versions/{version_id}/train/forecast", {"recipe": "thorough", "batch_size": "16"}
    client.post(path, data=form)

    with statements_of(scene.database) as sent:
        answer = client.post(path, data=form)

    assert answer.status_code == 200
    assert len(sent) <= 6, "\n".join(sent)


def test_the_page_reads_workers_speeds_and_earlier_runs_once(
    client: TestClient, scene: Scene, version_id: VersionId
) -> None:
    measured(scene.database)
    train(scene, client, version_id)
    client.get(f"/versions/{version_id}/train")

    with statements_of(scene.database) as sent:
        client.get(f"/versions/{version_id}/train")

    assert len(sent) <= 15, "\n".join(sent)
    assert sum("FROM speeds" in statement for statement in sent) == 1


def test_the_quickest_of_the_presets_comes_first_and_what_is_worse_in_both_is_folded_away(
    client: TestClient, scene: Scene, version_id: VersionId
) -> None:
    measured(scene.database)

    page = client.get(f"/versions/{version_id}/train").text

    assert presets(page) == ["quick-look", "recommended", "thorough", "more", "lesson-1", "fine-tune"]
    assert page.count("Slower than “Recommended”, and not expected to be better.") == 2


def test_a_preset_whose_features_are_there_is_already_prepared_and_makes_a_slower_and_rougher_one_needless(
    client: TestClient, scene: Scene, version_id: VersionId
) -> None:
    measured(scene.database)
    train(scene, client, version_id)

    page = client.get(f"/versions/{version_id}/train").text

    assert presets(page)[:3] == ["recommended", "thorough", "more"]
    assert page.count("already prepared") == 2  # at the preset, and in its forecast
    assert "Slower than “Recommended”, and not expected to be better." in page


def test_what_times_rest_on_is_said_once(client: TestClient, scene: Scene, version_id: VersionId) -> None:
    measured(scene.database)

    page = client.get(f"/versions/{version_id}/train").text

    assert page.count("a short test of this machine") == 1


def test_after_a_failed_download_what_needs_one_shows_that_it_cant_start(
    client: TestClient, scene: Scene, version_id: VersionId
) -> None:
    client.post("/api/v1/runs", json={"version_id": version_id, "config": {"recipe": "lesson-1"}})
    claim = scene.claim()
    with scene.database.write() as session:
        Ledger(session).fail(claim.job_id, claim.attempt, Failure("weights-unavailable", "Not here.", "Copy it."))

    page = unescape(client.get(f"/versions/{version_id}/train").text)

    assert presets(page) == ["recommended", "quick-look", "more", "lesson-1", "thorough", "fine-tune"]
    assert page.count("Can't start now: its pretrained weights aren't on this server") == 3


def test_a_search_shows_how_long_it_takes_before_it_starts(
    client: TestClient, scene: Scene, version_id: VersionId
) -> None:
    measured(scene.database)
    form = {"recipe": "recommended", "stage_count": "1", "stage_freeze_0": "false"}

    part = client.post(f"/versions/{version_id}/train/forecast", data=form).text

    # 5.7 s to start, 0.4 s to read, 100 steps of 32 pictures at 0.25 s; 30 % either way.
    assert "The search takes 10–18 min." in part


def test_settings_that_differ_from_the_presets_are_marked_and_counted(
    client: TestClient, version_id: VersionId
) -> None:
    form = {"recipe": "lesson-1", "batch_size": "16", "stage_count": "2", "stage_epochs_1": "3"}

    part = client.post(f"/versions/{version_id}/train/forecast", data=form).text

    assert re.findall(r'data-field="([^"]+)" data-changed', part) == ["stage_epochs_1", "batch_size"]
    assert "2 settings changed from “The course, lesson 1”." in part


def test_a_value_that_cant_be_used_is_said_beside_its_field_and_all_else_stays(
    client: TestClient, version_id: VersionId
) -> None:
    form = {"recipe": "lesson-1", "batch_size": "0", "stage_count": "3", "stage_freeze_2": "false", "seed": "7"}

    part = client.post(f"/versions/{version_id}/train/forecast", data=form).text

    sentence = "Batch size must be a whole number from 2 to 1,024."
    assert f'<p class="field-error" id="error-batch_size">{sentence}</p>' in part
    assert re.search(r'name="batch_size"[^>]*aria-describedby="error-batch_size" aria-invalid="true" value="0"', part)
    assert "Correct 1 field first" in part
    assert f'<a href="#field-batch_size">{sentence}</a>' in part
    assert 'aria-label="Stage 3"' in part
    assert re.search(r'name="seed"[^>]*value="7"', part)


def test_another_model_than_the_one_to_start_from_is_said_at_the_field(
    client: TestClient, version_id: VersionId
) -> None:
    part = client.post(f"/versions/{version_id}/train/forecast", data={"starts_from": "nobody's"}).text

    assert '<a href="#field-starts_from">' in part


FIELDS = [
    *(field.name for field in (*run_fields(), *CHANGES)),
    *(f"stage_{field.name}_0" for field in STAGE_FIELDS),
    "recipe",
    "starts_from",
    "json",
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("path", ["train", "train/forecast", "lr-finds"])
def test_no_form_answers_a_bad_value_in_a_checkers_words(client: TestClient, version_id: VersionId, path: str) -> None:
    for name in FIELDS:
        form = {"find_row": "0", "stage_count": "1", **({"do": "json"} if name == "json" else {})}
        answers = [client.post(f"/versions/{version_id}/{path}", data=form | {name: bad}) for bad in BAD_TEXTS]

        assert {answer.status_code for answer in answers} <= {200, 303, 422}, name
        texts = [re.sub(r"<textarea.*?</textarea>|<[^>]+>", "", answer.text, flags=re.S) for answer in answers]
        assert [checkers_words_in(text) for text in texts] == [[]] * len(texts), name
        if path != "lr-finds" or name != "json":  # a search doesn't read the pasted settings
            assert any(f'href="#field-{name}"' in answer.text for answer in answers), name


WHOLE = resolve(
    TrainingRequest(stages=(StageRequest(freeze=False, max_lr=(1e-5, 1e-3), image_size=128, early_stopping=2),))
).model_dump(mode="json")


@pytest.mark.parametrize("path", ["/api/v1/runs?dry_run=true", "/api/v1/lr-finds"])
def test_no_json_body_is_answered_in_a_checkers_words(client: TestClient, version_id: VersionId, path: str) -> None:
    body = {"version_id": version_id, "name": "stage 1", "starts_from": "a", "run_id": "b", "config": WHOLE}

    for field, bad in bodies_with_one_bad_value(body):
        answer = client.post(path, json=bad)

        assert answer.status_code in (404, 422), field
        error = answer.json()["error"]
        assert checkers_words_in(answer.text) == [], f"{field}: {error['message']}"
        assert error["message"].endswith("."), field
