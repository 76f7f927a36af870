"""The page on which a training is chosen."""

import re
from html import unescape

from starlette.testclient import TestClient

from backend.db.session import Database
from backend.domain.ids import VersionId
from backend.tables.datasets import VersionRow
from backend.training.forecast.speed_repository import Speeds
from backend.training.forecast.speeds import Speed
from backend.training.forecast.work import Work
from tests.backend.training.pages.rows import PAGE, add_checkpoint, add_run


def test_the_train_page_offers_the_recipes_with_one_chosen(client: TestClient, version_id: VersionId) -> None:
    answer = client.get(f"/versions/{version_id}/train", headers=PAGE)

    assert answer.status_code == 200
    for title in ("Recommended", "The course, lesson 1", "Fine-tune"):
        assert title in answer.text
    assert 'value="recommended" checked' in answer.text
    assert "4 epochs on the last layers, 2 on all layers" in answer.text
    assert "No worker is running, so this training would wait in the queue." in answer.text


def test_one_press_makes_one_run_and_leads_to_it(client: TestClient, version_id: VersionId) -> None:
    form = {"recipe": "lesson-1", "run_id": "a" * 32}

    presses = [client.post(f"/versions/{version_id}/train", data=form, follow_redirects=False) for _ in range(2)]

    assert [press.status_code for press in presses] == [303, 303]
    assert {press.headers["location"] for press in presses} == {f"/runs/{'a' * 32}"}
    (run,) = client.get("/api/v1/runs").json()["items"]
    assert run["config"]["recipe"] == "lesson-1"


def test_a_field_that_cant_be_used_comes_back_with_what_was_typed(client: TestClient, version_id: VersionId) -> None:
    answer = client.post(f"/versions/{version_id}/train", data={"recipe": "fine-tune", "batch_size": "1"})

    assert answer.status_code == 422
    assert "Batch size must be a whole number from 2 to 1,024." in answer.text
    assert 'value="fine-tune" checked' in answer.text
    assert client.get("/api/v1/runs").json()["items"] == []


def test_a_version_of_one_class_shows_why_it_cant_be_trained_on(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    with database.write() as session:
        session.get_one(VersionRow, version_id).classes = ["cat"]

    answer = client.get(f"/versions/{version_id}/train", headers=PAGE)

    assert answer.status_code == 422
    assert "Change the labels" in answer.text


def test_the_forecast_follows_the_form(client: TestClient, version_id: VersionId) -> None:
    answer = client.post(f"/versions/{version_id}/train/forecast", data={"recipe": "lesson-1", "image_size": "160"})

    assert answer.status_code == 200
    assert "160 px" in answer.text
    assert "<html" not in answer.text


def test_the_page_to_go_on_from_a_model_has_the_stage_that_comes_next(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    run_id = add_run(database, version_id, "succeeded")
    checkpoint = add_checkpoint(database, run_id, 0, 6)

    text = client.get(f"/versions/{version_id}/train?starts_from={checkpoint}", headers=PAGE).text
    assert f'<option value="{checkpoint}" selected>run 1, stage 1: 94.0 % right</option>' in text
    assert 'value="lesson-1" checked' in text
    assert "2 epochs on all layers" in text

    form = {"recipe": "lesson-1", "starts_from": checkpoint, "stage_count": "1", "stage_freeze_0": "false"}
    answer = client.post(f"/versions/{version_id}/train", data=form, follow_redirects=False)
    run = client.get(f"/api/v1{answer.headers['location']}").json()
    assert run["starts_from"] == checkpoint
    assert [stage["freeze"] for stage in run["config"]["stages"]] == [False]


def test_buttons_of_the_drawer_change_the_form_and_start_nothing(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    path = f"/versions/{version_id}/train"
    form = {"recipe": "lesson-1", "stage_count": "2", "batch_size": "16", "run_id": "b" * 32}

    added = client.post(path, data=form | {"do": "add-stage"}).text
    assert 'aria-label="Stage 3"' in added
    assert re.search(r'name="batch_size"[^>]* value="16"', added)
    assert f'value="{"b" * 32}"' in added
    removed = client.post(path, data=form | {"do": "remove-stage-0"}).text
    assert "2 epochs on all layers" in removed
    back = client.post(path, data=form | {"do": "back"}).text
    assert "Undo the changes" not in back
    pasted = client.post(path, data=form | {"do": "json", "json": '{"recipe": "fine-tune", "seed": 7}'}).text
    assert 'value="fine-tune" checked' in pasted
    refused = client.post(path, data=form | {"do": "json", "json": "{seed: 7}"})
    assert refused.status_code == 422
    assert "JSON" in refused.text
    assert "{seed: 7}" in refused.text

    assert client.get("/api/v1/runs").json()["items"] == []


def test_a_wrong_number_is_said_beside_its_field(client: TestClient, version_id: VersionId) -> None:
    form = {"recipe": "lesson-1", "stage_count": "2", "stage_warmup_1": "3"}

    answer = client.post(f"/versions/{version_id}/train", data=form)

    assert answer.status_code == 422
    assert (
        '<p class="field-error" id="error-stage_warmup_1">Stage 2: Warm-up must be a number above 0 and below 1.</p>'
        in answer.text
    )
    assert re.search(r'name="stage_warmup_1"[^>]*aria-invalid="true"[^>]* value="3"', answer.text)


def test_a_search_beside_a_stage_shows_how_long_it_takes(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    run_id = add_run(database, version_id, "succeeded")
    add_checkpoint(database, run_id, 0, 6)
    with database.write() as session:
        Speeds(session).add("cpu: a", [Speed(Work.READ, None, 224, 24, 0.05), Speed(Work.MOVE, "resnet34", 224, 8, 4)])

    text = client.get(f"/runs/{run_id}", headers=PAGE).text

    # The stage that follows trains all layers: 100 steps of as many pictures as there are, 16, at half a second.
    assert "(the search takes 10–18 min)" in text


def test_after_a_failed_download_a_model_whose_weights_are_here_is_offered(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    failure = {"error_code": "weights-unavailable", "error_message": "Not here.", "error_advice": "Copy it."}
    run_id = add_run(database, version_id, "failed", **failure)

    text = unescape(client.get(f"/runs/{run_id}", headers=PAGE).text)
    opened = client.get(f"/versions/{version_id}/train?again={run_id}&model=efficientnet-lite0", headers=PAGE).text

    assert "Train with EfficientNet-Lite0 instead" in text
    assert f"/versions/{version_id}/train?again={run_id}&model=efficientnet-lite0" in text
    assert '<option value="efficientnet-lite0" selected>' in opened


def test_the_plan_of_a_run_has_its_cautions(client: TestClient, version_id: VersionId) -> None:
    body = {"version_id": version_id, "config": {"stages": [{"freeze": True, "max_lr": 10}]}}

    plan = client.post("/api/v1/runs?dry_run=true", json=body).json()

    assert plan["warnings"][0] == {
        "code": "rate-too-high",
        "message": "Stage 1: the learning rate 10 is too high, so training would fail. Usual: 0.0001 to 0.01.",
    }
