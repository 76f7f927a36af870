"""Ended trainings are deleted with all that they left; what others need stays."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from backend.db.session import Database
from backend.ledger.job import JobKind
from backend.ledger.repository import Ledger
from backend.ledger.unit_of_work import NoNotifier, unit_of_work
from backend.storage.local import LocalStorage
from backend.tables.ledger import JobRow
from backend.tables.training import CheckpointRow, EpochRow, RunEventRow, RunRow
from backend.training import record
from backend.training.checkpoint_jobs.service import want
from backend.training.forecast.eta import Standing
from backend.training.repository import RunRepository
from tests.backend.training.scene import Scene, epoch_finished, stage_finished, step_finished, stored_checkpoint


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


def finished_run(scene: Scene, storage: LocalStorage | None = None) -> tuple[str, str]:
    """A run that has succeeded, and the id of its checkpoint, whose folder lies in storage."""
    run_id = scene.run()
    claim = scene.claim()
    checkpoint = stored_checkpoint()
    with scene.database.write() as session:
        record.record_events(session, claim, [step_finished(1)], Standing())
        record.record_epoch(session, claim, epoch_finished(0, 0), None, Standing())
        record.record_checkpoint(session, claim, stage_finished(0), checkpoint, Standing())
    scene.finish(claim)
    if storage is not None:
        (storage.folder("checkpoints", checkpoint.folder) / "model.onnx").write_bytes(b"weights")
        (storage.folder("states", run_id) / "state").write_bytes(b"state")
    return run_id, checkpoint.id


def test_nothing_of_a_deleted_run_is_left(
    client: TestClient, scene: Scene, database: Database, storage: LocalStorage
) -> None:
    run_id, checkpoint_id = finished_run(scene, storage)
    with unit_of_work(database, NoNotifier()) as unit:
        want(unit, checkpoint_id, JobKind.HEATMAPS)
    (storage.folder("heatmaps", checkpoint_id) / "map.png").write_bytes(b"map")

    answer = client.delete(f"/api/v1/runs/{run_id}")

    assert answer.status_code == 204
    assert not (storage.root / "heatmaps" / checkpoint_id).exists()
    assert client.get(f"/api/v1/runs/{run_id}").status_code == 404
    with database.read() as session:
        left = [session.scalar(select(func.count()).select_from(row)) for row in (RunRow, EpochRow, RunEventRow)]
        assert [*left, session.scalar(select(func.count()).select_from(CheckpointRow))] == [0, 0, 0, 0]
        assert session.scalar(select(func.count()).select_from(JobRow)) == 0
    assert [list((Path(storage.root) / kind).glob("*/*")) for kind in ("checkpoints", "states")] == [[], []]


def test_a_run_that_continues_must_be_cancelled_first(client: TestClient, scene: Scene) -> None:
    run_id = scene.run()

    refused = client.delete(f"/api/v1/runs/{run_id}")
    client.post(f"/api/v1/runs/{run_id}/cancel")
    deleted = client.delete(f"/api/v1/runs/{run_id}")

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "run-not-over")
    assert refused.json()["error"]["advice"] == "Cancel it first, then delete it."
    assert deleted.status_code == 204


def test_a_run_whose_model_a_waiting_run_needs_stays(client: TestClient, scene: Scene, database: Database) -> None:
    run_id, checkpoint_id = finished_run(scene)
    later = scene.run()
    with database.write() as session:
        RunRepository(session).show(later, starts_from=checkpoint_id)

    refused = client.delete(f"/api/v1/runs/{run_id}")

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "run-needed")
    assert client.get(f"/api/v1/runs/{run_id}").status_code == 200


def test_an_ended_run_that_started_from_it_keeps_its_own_model_and_reports_it(
    client: TestClient, scene: Scene, database: Database
) -> None:
    run_id, checkpoint_id = finished_run(scene)
    later, own = finished_run(scene)
    with database.write() as session:
        RunRepository(session).show(later, starts_from=checkpoint_id)

    asked = client.get("/runs/delete", params={"run": run_id}, headers={"Accept": "text/html"})
    client.delete(f"/api/v1/runs/{run_id}")

    assert "started from one of these models" in asked.text
    assert client.get(f"/api/v1/checkpoints/{own}").status_code == 200
    page = client.get(f"/runs/{later}", headers={"Accept": "text/html"})
    assert "has been deleted since" in page.text


def test_selected_runs_are_deleted_after_a_look_at_what_that_frees(client: TestClient, scene: Scene) -> None:
    version_id = scene.version()
    first, second = scene.run(version_id), scene.run(version_id)
    for run_id in (first, second):
        client.post(f"/api/v1/runs/{run_id}/cancel")

    asked = client.get("/runs/delete", params={"run": [first, second]}, headers={"Accept": "text/html"})
    done = client.post("/runs/delete", data={"run": [first, second]}, headers={"Accept": "text/html"})

    assert "Delete 2 runs?" in asked.text
    assert "2 runs were deleted." in done.text
    assert client.get("/api/v1/runs").json()["items"] == []


def test_one_run_that_continues_keeps_all_that_were_selected(client: TestClient, scene: Scene) -> None:
    ended, _ = finished_run(scene)
    going_on = scene.run()

    refused = client.post("/runs/delete", data={"run": [ended, going_on]}, headers={"Accept": "text/html"})

    assert refused.status_code == 409
    assert client.get(f"/api/v1/runs/{ended}").status_code == 200


def test_the_page_shows_how_much_room_it_frees(client: TestClient, scene: Scene) -> None:
    run_id, _ = finished_run(scene)

    text = client.get("/runs/delete", params={"run": run_id}, headers={"Accept": "text/html"}).text

    assert "1 model with its results goes too, which frees 1.2 kB." in text


def test_a_deleted_run_is_no_job_any_more(client: TestClient, scene: Scene, database: Database) -> None:
    run_id, _ = finished_run(scene)
    client.delete(f"/api/v1/runs/{run_id}")

    with database.write() as session:
        assert list(Ledger(session).lost()) == []
