"""The pages of trainings: choosing, the list, one run."""

import pytest
from starlette.testclient import TestClient

from backend.datasets.tables import DatasetRow, VersionRow
from backend.db.session import Database
from backend.domain.ids import VersionId, new_id
from backend.domain.training import Recipe, TrainingRequest, resolve
from backend.ledger.tables import JobRow
from backend.training.tables import CheckpointRow, EpochRow, RunRow

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


def add_run(database: Database, version_id: str, state: str, **job: object) -> str:
    """A run of the course's recipe in some state."""
    run_id = new_id()
    config = resolve(TrainingRequest(recipe=Recipe.LESSON_1)).model_dump(mode="json")
    with database.write() as session:
        session.add(JobRow(id=new_id(), kind="train", subject_id=run_id, state=state, **job))
        session.flush()
        (job_id,) = session.query(JobRow.id).filter_by(subject_id=run_id).one()
        session.add(RunRow(id=run_id, name="run 1", version_id=version_id, job_id=job_id, config=config))
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


def test_the_train_page_offers_the_recipes_with_one_chosen(client: TestClient, version_id: VersionId) -> None:
    answer = client.get(f"/versions/{version_id}/train", headers=PAGE)

    assert answer.status_code == 200
    for title in ("Recommended", "The course, lesson 1", "Fine-tune"):
        assert title in answer.text
    assert 'value="recommended" checked' in answer.text
    assert "4 epochs of the head, then 2 of everything" in answer.text
    assert "No worker is running here" in answer.text


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
    assert "Batch size has to be at least 2." in answer.text
    assert 'value="fine-tune" checked' in answer.text
    assert client.get("/api/v1/runs").json()["items"] == []


def test_a_version_of_one_class_says_why_it_cant_be_trained_on(
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
    add_checkpoint(database, run_id, 1, 9)

    text = client.get(f"/runs/{run_id}", headers=PAGE).text

    assert "error went from 6.0 % to 9.0 %" in text
    assert "Use the model from stage 1" in text
    assert f"/checkpoints/{first}/try" in text


def test_a_stage_that_changed_nothing_is_not_called_worse(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    run_id = add_run(database, version_id, "succeeded")
    for stage in (0, 1):
        add_checkpoint(database, run_id, stage, 6)

    text = client.get(f"/runs/{run_id}", headers=PAGE).text

    assert "This stage changed nothing" in text
    assert "Use the model from stage 1" not in text


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

    for part in ("Out of memory.", "Your pictures and labels are as before.", "Take a smaller batch."):
        assert part in text
    assert "Start again with batch 32" in text


def test_a_run_in_line_says_its_place(client: TestClient, version_id: VersionId, database: Database) -> None:
    run_id = add_run(database, version_id, "queued")

    assert "In line: 1st." in client.get(f"/runs/{run_id}", headers=PAGE).text


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
    assert "94.0 %" in text


def test_the_empty_list_says_how_to_begin(client: TestClient) -> None:
    assert "Nothing has been trained yet." in client.get("/runs", headers=PAGE).text


def test_names_are_text_on_every_page(client: TestClient, version_id: VersionId, database: Database) -> None:
    run_id = add_run(database, version_id, "succeeded")
    for path in ("/runs", f"/runs/{run_id}", f"/versions/{version_id}/train", f"/runs/{run_id}/understand"):
        text = client.get(path, headers=PAGE).text

        assert HOSTILE not in text
        assert "&lt;img" in text


def test_an_unknown_run_is_a_page_that_says_so(client: TestClient) -> None:
    answer = client.get("/runs/nothing", headers=PAGE)

    assert answer.status_code == 404
    assert "There is no such training here" in answer.text
