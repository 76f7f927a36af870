"""The pages of trainings: the list, one run."""

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.domain.ids import VersionId
from backend.tables.ledger import JobRow
from backend.tables.training import CheckpointRow
from backend.training.repository import RunRepository
from tests.backend.training.pages.rows import HOSTILE, PAGE, add_checkpoint, add_epoch, add_run, answer_wrongly


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


def test_the_best_model_is_offered_first_and_shown_on_test_pictures(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    run_id = add_run(database, version_id, "succeeded")
    first = add_checkpoint(database, run_id, 0, 1)
    second = add_checkpoint(database, run_id, 1, 9)
    answer_wrongly(database, version_id, {first: range(1), second: range(9)})

    text = client.get(f"/runs/{run_id}", headers=PAGE).text

    assert 0 < text.index(f"/checkpoints/{first}/export?format=onnx") < text.index(f"/checkpoints/{second}/export")
    assert "the best model (stage 1) gets" in text
    assert text.count('<li data-right="false">') <= 1


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


@pytest.mark.parametrize(("status", "is_hidden"), [("queued", False), ("failed", True), ("cancelled", True)])
def test_only_a_stage_that_may_still_begin_keeps_room_for_its_curves(
    client: TestClient, version_id: VersionId, database: Database, status: str, is_hidden: bool
) -> None:
    run_id = add_run(database, version_id, status)

    text = client.get(f"/runs/{run_id}", headers=PAGE).text

    tag = re.search(r'<div class="stage-curves" data-curves="0"[^>]*>', text)
    assert tag is not None
    assert (" hidden" in tag[0]) is is_hidden
