"""The pages of trainings: choosing, the list, one run."""

import re
from collections.abc import Iterable, Mapping
from html import unescape
from typing import Any

import pytest
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.domain.ids import VersionId, new_id
from backend.domain.training import Recipe, TrainingRequest, resolve
from backend.tables.datasets import DatasetRow, ImageRow, VersionRow
from backend.tables.interpretation import PredictionRow
from backend.tables.ledger import JobRow
from backend.tables.training import CheckpointRow, EpochRow, RunRow
from backend.training.forecast.speed_repository import Speeds
from backend.training.forecast.speeds import Speed
from backend.training.forecast.work import Work
from backend.training.repository import RunRepository

HOSTILE = "<img src=x onerror=alert(1)>"
PAGE = {"Accept": "text/html"}


@pytest.fixture
def version_id(database: Database) -> VersionId:
    """A version that can be trained on; one class has a hostile name."""
    counts = {name: {"train": 8, "valid": 2, "test": 0} for name in ("cat", HOSTILE)}
    with database.write() as session:
        dataset = DatasetRow(id=new_id(), name=f"animals {HOSTILE}", images=20, bytes=20)
        session.add(dataset)
        session.flush()
        version = VersionRow(
            id=new_id(), dataset_id=dataset.id, number=1, classes=list(counts), counts=counts,
            rule={"kind": "folder", "level": 1}, split={}, overrides=[],
        )  # fmt: skip
        session.add(version)
        return VersionId(version.id)


def add_run(database: Database, version_id: str, state: str, starts_from: str | None = None, **job: object) -> str:
    """A run of the course's recipe in some state."""
    run_id = new_id()
    config = resolve(TrainingRequest(recipe=Recipe.LESSON_1)).model_dump(mode="json")
    with database.write() as session:
        session.add(JobRow(id=new_id(), kind="train", subject_id=run_id, state=state, **job))
        session.flush()
        (job_id,) = session.query(JobRow.id).filter_by(subject_id=run_id).one()
        row = RunRow(
            id=run_id, name="run 1", version_id=version_id, job_id=job_id, config=config, starts_from=starts_from
        )
        session.add(row)
    return run_id


def add_epoch(database: Database, run_id: str, stage: int, epoch: int, valid_loss: float, error_rate: float) -> None:
    """One row of the table."""
    with database.write() as session:
        session.add(
            EpochRow(
                id=new_id(),
                run_id=run_id,
                stage=stage,
                epoch=epoch,
                train_loss=1.386742 / (epoch + 1),
                valid_loss=valid_loss,
                error_rate=error_rate,
                accuracy=1 - error_rate,
                learning_rate=0.003,
                duration_s=52.4,
                attempt=1,
            )  # fmt: skip
        )


def add_checkpoint(database: Database, run_id: str, stage: int, errors: int) -> str:
    """A finished stage that got ``errors`` of 100 pictures wrong."""
    checkpoint_id = new_id()
    metrics = {"valid": {"images": 100, "errors": errors, "error_rate": errors / 100, "loss": 0.3}}
    with database.write() as session:
        session.add(
            CheckpointRow(
                id=checkpoint_id,
                run_id=run_id,
                stage=stage,
                epoch=3,
                architecture="resnet34",
                classes=["cat", HOSTILE],
                preprocessing={},
                metrics=metrics,
                parity={"images": 64, "agreement": 1.0, "max_difference": 1e-6},
                folder=checkpoint_id,
                sha256="0" * 64,
                bytes=1,
            )  # fmt: skip
        )
    return checkpoint_id


def answer_wrongly(database: Database, version_id: VersionId, wrong: Mapping[str, Iterable[int]]) -> None:
    """What checkpoints said of the same 100 pictures; ``wrong`` names the mistaken ones by number."""
    with database.write() as session:
        dataset_id = session.get_one(VersionRow, version_id).dataset_id
        images = [
            ImageRow(
                id=new_id(), dataset_id=dataset_id, path=f"{n}.png", digest=f"{n:064x}", width=9, height=9, bytes=9,
                format="PNG",
            )
            for n in range(100)
        ]  # fmt: skip
        session.add_all(images)
        session.flush()
        for checkpoint_id, mistakes in wrong.items():
            for n, image in enumerate(images):
                session.add(
                    PredictionRow(
                        checkpoint_id=checkpoint_id,
                        image_id=image.id,
                        split="valid",
                        actual="cat",
                        predicted=HOSTILE if n in set(mistakes) else "cat",
                        loss=0.1,
                        probability_actual=0.9,
                        probability_predicted=0.9,
                    )
                )


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


def test_the_table_is_the_courses_with_six_decimals(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    run_id = add_run(database, version_id, "running")
    add_epoch(database, run_id, 0, 0, 0.340161, 0.112314)

    text = client.get(f"/runs/{run_id}", headers=PAGE).text

    for cell in ("1.386742", "0.340161", "0.112314", "00:52"):
        assert cell in text
    assert "train_loss" in text


def test_a_stage_that_made_it_worse_offers_the_better_model(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    run_id = add_run(database, version_id, "succeeded")
    first = add_checkpoint(database, run_id, 0, 6)
    second = add_checkpoint(database, run_id, 1, 9)
    answer_wrongly(database, version_id, {first: range(6), second: range(5, 14)})

    text = client.get(f"/runs/{run_id}", headers=PAGE).text

    assert "Unfreezing made no measurable change: error went from 6.0 % to 9.0 % (5 now right, 8 now wrong)" in text
    assert "no measurable change" in text
    assert "Use the model from stage 1" in text
    assert f"/checkpoints/{first}/try" in text


@pytest.mark.parametrize(
    ("is_within_chance", "reason"),
    [(True, "a later model counts only if it is clearly better"), (False, "of stage 1, which did better.")],
)
def test_the_page_gives_the_reason_why_an_earlier_model_is_used(
    client: TestClient, version_id: VersionId, database: Database, *, is_within_chance: bool, reason: str
) -> None:
    run_id = add_run(database, version_id, "succeeded")
    add_checkpoint(database, run_id, 0, 6)
    second = add_checkpoint(database, run_id, 1, 5 if is_within_chance else 7)
    if is_within_chance:
        with database.write() as session:
            row = session.get_one(CheckpointRow, second)
            row.metrics = {"valid": row.metrics["valid"] | {"is_within_chance": True}}

    text = client.get(f"/runs/{run_id}", headers=PAGE).text

    assert reason in text
    assert "Use the model from stage 1" in text


def test_a_stage_that_changed_nothing_is_not_called_worse(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    run_id = add_run(database, version_id, "succeeded")
    first, second = (add_checkpoint(database, run_id, stage, 6) for stage in (0, 1))
    answer_wrongly(database, version_id, {first: range(6), second: range(6)})

    text = client.get(f"/runs/{run_id}", headers=PAGE).text

    assert "Unfreezing changed none of the answers" in text
    assert "did not help" not in text


def test_a_failure_has_three_parts_and_its_remedy(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    failure = {
        "error_code": "out-of-memory",
        "error_message": "Out of memory.",
        "error_advice": "Take a smaller batch.",
    }
    run_id = add_run(database, version_id, "failed", **failure)

    text = client.get(f"/runs/{run_id}", headers=PAGE).text

    for part in ("Out of memory.", "Your pictures and labels are unchanged.", "Take a smaller batch."):
        assert part in text
    assert "Start again with batch 32" in text


def test_a_run_in_line_shows_its_place(client: TestClient, version_id: VersionId, database: Database) -> None:
    run_id = add_run(database, version_id, "queued")

    assert "Queued: next up." in client.get(f"/runs/{run_id}", headers=PAGE).text


def test_cancel_leads_back_to_the_run(client: TestClient, version_id: VersionId, database: Database) -> None:
    run_id = add_run(database, version_id, "queued")

    answer = client.post(f"/runs/{run_id}/cancel", headers=PAGE)

    assert answer.status_code == 200
    assert "This training was cancelled." in answer.text


def test_the_list_has_every_run(client: TestClient, version_id: VersionId, database: Database) -> None:
    run_id = add_run(database, version_id, "succeeded")
    add_checkpoint(database, run_id, 0, 6)

    text = client.get("/runs", headers=PAGE).text

    assert f"/runs/{run_id}" in text
    assert "<b>94 %</b>" in text


def test_the_empty_list_shows_how_to_begin(client: TestClient) -> None:
    assert "Nothing has been trained yet." in client.get("/runs", headers=PAGE).text


def test_names_are_text_on_every_page(client: TestClient, version_id: VersionId, database: Database) -> None:
    run_id = add_run(database, version_id, "succeeded")
    for path in ("/runs", f"/runs/{run_id}", f"/versions/{version_id}/train", f"/runs/{run_id}/understand"):
        text = client.get(path, headers=PAGE).text

        assert HOSTILE not in text
        assert "&lt;img" in text


def test_an_unknown_run_is_a_page_that_reports_it(client: TestClient) -> None:
    answer = client.get("/runs/nothing", headers=PAGE)

    assert answer.status_code == 404
    assert "There is no such training here" in answer.text


def test_a_running_run_can_be_stopped_well_paused_and_cancelled(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    run_id = add_run(database, version_id, "running", attempt=1)

    text = client.get(f"/runs/{run_id}", headers=PAGE).text
    for action in ("finish", "pause", "cancel"):
        assert f'action="/runs/{run_id}/{action}"' in text

    assert "Stops after this epoch; its model is kept." in client.post(f"/runs/{run_id}/finish", headers=PAGE).text
    paused = client.post(f"/runs/{run_id}/pause", headers=PAGE).text
    assert "Saving progress, then pausing" in paused
    assert f'action="/runs/{run_id}/resume"' in paused
    assert "It saves where it is" not in client.post(f"/runs/{run_id}/resume", headers=PAGE).text


def test_a_paused_run_shows_where_it_rests_and_how_it_continues(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    run_id = add_run(database, version_id, "paused", desired="pause")

    text = client.get(f"/runs/{run_id}", headers=PAGE).text

    assert "Paused before the first step." in text
    assert f'action="/runs/{run_id}/resume"' in text


def test_a_run_that_rests_for_want_of_room_shows_that_it_continues_by_itself(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    full: dict[str, Any] = {
        "error_code": "disk-full",
        "error_message": "The disk filled up while saving.",
        "waits_for_bytes": 10**9,
    }
    run_id = add_run(database, version_id, "paused", **full)

    text = client.get(f"/runs/{run_id}", headers=PAGE).text

    assert "The disk filled up while saving." in text
    assert "training continues by itself when there is enough" in text


def test_what_happened_is_asked_in_words(client: TestClient, version_id: VersionId, database: Database) -> None:
    run_id = add_run(database, version_id, "running")
    happened: list[tuple[str, dict[str, Any]]] = [
        ("micro-batch-halved", {"stage": 0, "epoch": 1, "micro_batch": 32, "batch_size": 64}),
        ("rolled-back", {"stage": 0, "epoch": 2, "step": 7, "factor": 0.5}),
        ("stage-cut-short", {"stage": 0, "epoch": 2, "reason": "3 epochs without a better one"}),
        ("stage-skipped", {"stage": 1, "reason": "nothing is left to improve"}),
        ("epochs-changed", {"stage": 1, "epochs": 31, "planned": 47}),
        ("image-skipped", {"image_id": "a", "path": "cats/7.jpg", "reason": "the file ends too early"}),
        ("image-skipped", {"image_id": "a", "path": "cats/7.jpg", "reason": "the file ends too early"}),
    ]
    with database.write() as session:
        RunRepository(session).add_events(run_id, happened)

    text = client.get(f"/runs/{run_id}", headers=PAGE).text

    assert "The effective batch size stays 64; batch norm layers that are trained see only 32 images at a time" in text
    assert "from the last good state with the rate times 0.5" in text
    assert "Stage 1 ends after epoch 2: 3 epochs without a better one" in text
    assert "Stage 2 isn&#39;t needed: nothing is left to improve" in text
    assert "Stage 2: 31 of the 47 planned epochs fit into the time limit at the present speed" in text
    assert "1 picture couldn't be read during training and was skipped" in text
    assert "<b>cats/7.jpg</b>" in text


def test_a_line_of_stages_goes_through_several_runs(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    first = add_run(database, version_id, "succeeded")
    frozen = add_checkpoint(database, first, 0, 6)
    second = add_run(database, version_id, "succeeded", starts_from=frozen)
    unfrozen = add_checkpoint(database, second, 0, 9)
    answer_wrongly(database, version_id, {frozen: range(6), unfrozen: range(9)})

    earlier, later = (client.get(f"/runs/{run_id}", headers=PAGE).text for run_id in (first, second))

    assert f'href="/runs/{second}"' in earlier
    assert "starts from this model" in earlier
    assert f"/versions/{version_id}/train?starts_from={frozen}" in earlier
    assert "This run starts from" in later
    assert f'href="/runs/{first}"' in later
    assert "error went from 6.0 % to 9.0 % (0 now right, 3 now wrong), which chance would explain" in later


def test_a_stage_against_mistakes_is_not_needed_where_there_are_none(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    run_id = client.post("/api/v1/runs", json={"version_id": version_id}).json()["id"]
    add_checkpoint(database, run_id, 0, 0)
    with database.write() as session:
        session.query(JobRow).update({"state": "succeeded"})

    assert "not needed" in client.get(f"/runs/{run_id}", headers=PAGE).text


def test_the_results_of_a_run_are_those_of_its_best_stage(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    run_id = add_run(database, version_id, "succeeded")
    first, second = add_checkpoint(database, run_id, 0, 6), add_checkpoint(database, run_id, 1, 9)
    answer_wrongly(database, version_id, {first: range(6), second: range(9)})

    assert client.get(f"/api/v1/runs/{run_id}/evaluation").json()["error_rate"] == 0.06
    assert f'href="/checkpoints/{first}/try" data-state' in client.get(f"/versions/{version_id}", headers=PAGE).text


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


@pytest.mark.parametrize(("status", "is_hidden"), [("queued", False), ("failed", True), ("cancelled", True)])
def test_only_a_stage_that_may_still_begin_keeps_room_for_its_curves(
    client: TestClient, version_id: VersionId, database: Database, status: str, is_hidden: bool
) -> None:
    run_id = add_run(database, version_id, status)

    text = client.get(f"/runs/{run_id}", headers=PAGE).text

    tag = re.search(r'<div class="stage-curves" data-curves="0"[^>]*>', text)
    assert tag is not None
    assert (" hidden" in tag[0]) is is_hidden
