"""A run that isn't under way says what it waits for."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.domain.training import TrainingRequest
from backend.ledger.job import TRAINER_CRASHED, Failure, JobKind, Outcome, Worker
from backend.ledger.repository import Ledger
from backend.ledger.unit_of_work import NoNotifier, unit_of_work
from backend.training.control import pause
from backend.training.queue import Waiting
from backend.training.start import RunOrder, start
from tests.backend.training.scene import Scene

WORKER = Worker("worker-1", "host-1")
CARD = Worker("card", "host-1", "cuda:0")


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


def alive(scene: Scene, worker: Worker) -> None:
    """A worker is there."""
    with scene.database.write() as session:
        Ledger(session).heartbeat(worker, [JobKind.TRAIN], None, "1.0")


def run_for(scene: Scene, device: str, name: str = "run") -> str:
    """A run that asks for a kind of device."""
    request = TrainingRequest.model_validate({"device": device})
    with unit_of_work(scene.database, NoNotifier()) as unit:
        return start(unit, RunOrder(scene.version(), request, name), Path("/nowhere")).id


def test_without_a_worker_nothing_can_start(scene: Scene) -> None:
    assert scene.view(scene.run()).waits_for == Waiting("no-worker", "No worker is running, so nothing can start.")


def test_the_next_one_is_taken_up_in_a_moment(scene: Scene) -> None:
    alive(scene, WORKER)

    assert scene.view(scene.run()).waits_for == Waiting("starting", "A worker starts it in a moment.")


def test_the_others_know_how_many_are_before_them(scene: Scene) -> None:
    alive(scene, WORKER)
    scene.run()

    assert scene.view(scene.run()).waits_for == Waiting("turn", "Runs ahead in the queue: 1.")


def test_a_run_for_a_gpu_shows_that_none_is_there(scene: Scene) -> None:
    alive(scene, WORKER)

    waits = scene.view(run_for(scene, "cuda")).waits_for
    assert waits == Waiting("no-gpu", "This run needs a GPU, and no worker with a GPU is running.")


def test_j14_a_run_shows_with_what_the_gpu_is_busy(scene: Scene) -> None:
    alive(scene, CARD)
    run_for(scene, "cuda", "leaves")
    with scene.database.write() as session:
        assert Ledger(session).claim(JobKind.TRAIN, CARD) is not None
    waiting = run_for(scene, "cuda")

    with scene.database.write() as session:
        assert Ledger(session).claim(JobKind.TRAIN, Worker("second", "host-1", "cuda:0")) is None
    assert scene.view(waiting).waits_for == Waiting("device-busy", "GPU 0 is busy with “leaves”.")


def test_after_a_crash_it_shows_when_the_next_try_is(scene: Scene) -> None:
    alive(scene, WORKER)
    run_id = scene.run()
    for attempt in (1, 2):
        claim = scene.claim()
        with scene.database.write() as session:
            Ledger(session).close(claim.job_id, attempt, Outcome.CRASHED, failure=TRAINER_CRASHED)

    waits = scene.view(run_id).waits_for
    assert waits is not None
    assert waits.code == "next-try"
    assert waits.message in {f"The next attempt starts in {seconds} s." for seconds in range(20, 31)}


def test_a_card_that_rests_is_named(scene: Scene) -> None:
    alive(scene, CARD)
    for _time in range(2):
        run_for(scene, "cuda")
        with scene.database.write() as session:
            claim = Ledger(session).claim(JobKind.TRAIN, CARD)
            assert claim is not None
            Ledger(session).close(claim.job_id, claim.attempt, Outcome.CRASHED, exit_code=40, failure=TRAINER_CRASHED)
            Ledger(session).note_device_failure(claim.job_id, claim.attempt)
    waiting = run_for(scene, "cuda")

    assert scene.view(waiting).waits_for == Waiting(
        "device-resting", "GPU 0 failed twice in a row and is not used for some minutes."
    )


def test_a_run_without_room_reports_it_with_its_reason(client: TestClient, scene: Scene) -> None:
    run_id = scene.run()
    claim = scene.claim()
    with scene.database.write() as session:
        full = Failure("disk-full", "The disk is full.", "Free some space.")
        Ledger(session).pause_for_room(claim.job_id, claim.attempt, full, 320_000_000)

    run = client.get(f"/api/v1/runs/{run_id}").json()

    assert run["status"] == "paused"
    assert run["failure"] == {"code": "disk-full", "message": "The disk is full.", "advice": "Free some space."}
    assert run["waits_for"] == {
        "code": "disk-full",
        "message": "The disk is full; training continues once about 589 MB are free.",
    }


def test_a_run_under_way_and_one_that_its_owner_paused_wait_for_nothing(scene: Scene) -> None:
    running = scene.run()
    scene.claim()
    paused = scene.run()
    with scene.database.write() as session:
        pause(session, paused)

    assert scene.view(running).waits_for is None
    assert scene.view(paused).waits_for is None
