"""What may be asked of a run while it lasts, over REST."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.ledger.job import TRAINER_CRASHED, Outcome
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.training.repository import RunRepository
from tests.backend.training.scene import Scene
from tests.conftest import CollectingNotifier


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


def say(client: TestClient, run_id: str, verb: str) -> tuple[int, dict[str, Any]]:
    answer = client.post(f"/api/v1/runs/{run_id}/{verb}")
    return answer.status_code, answer.json()


def refusal(client: TestClient, run_id: str, verb: str) -> tuple[int, str]:
    status, body = say(client, run_id, verb)
    return status, body["error"]["code"]


def test_a_waiting_run_is_paused_and_continues_and_both_may_be_said_twice(
    client: TestClient, scene: Scene, notifier: CollectingNotifier
) -> None:
    run_id = scene.run()

    assert say(client, run_id, "pause")[1]["status"] == "paused"
    assert say(client, run_id, "pause")[1]["status"] == "paused"
    assert notifier.notifications == []
    assert say(client, run_id, "resume")[1]["status"] == "queued"
    status, again = say(client, run_id, "resume")
    assert (status, again["status"], again["queue_position"]) == (202, "queued", 1)
    assert set(notifier.notifications) == {"train"}


def test_a_running_run_stops_before_it_is_paused(client: TestClient, scene: Scene) -> None:
    run_id = scene.run()
    claim = scene.claim()

    stopping = say(client, run_id, "pause")[1]
    with scene.database.write() as session:
        Ledger(session).close(claim.job_id, 1, Outcome.PAUSED, exit_code=10, failure=TRAINER_CRASHED)

    assert (stopping["status"], stopping["is_stopping"]) == ("running", True)
    assert scene.view(run_id).status == "paused"


def test_a_pause_is_taken_back_before_it_has_happened(client: TestClient, scene: Scene) -> None:
    run_id = scene.run()
    scene.claim()
    say(client, run_id, "pause")

    running = say(client, run_id, "resume")[1]

    assert (running["status"], running["is_stopping"]) == ("running", False)


def test_a_paused_run_can_be_cancelled(client: TestClient, scene: Scene) -> None:
    run_id = scene.run()
    say(client, run_id, "pause")

    assert say(client, run_id, "cancel")[1]["status"] == "cancelled"


@pytest.mark.parametrize("verb", ["pause", "resume", "finish"])
def test_nothing_can_be_asked_of_a_run_that_has_ended(client: TestClient, scene: Scene, verb: str) -> None:
    run_id = scene.run()
    scene.finish(scene.claim())

    assert refusal(client, run_id, verb) == (409, "run-ended")


@pytest.mark.parametrize("verb", ["pause", "resume", "finish"])
def test_nothing_can_be_asked_of_a_run_that_is_being_cancelled(client: TestClient, scene: Scene, verb: str) -> None:
    run_id = scene.run()
    scene.claim()
    say(client, run_id, "cancel")

    assert refusal(client, run_id, verb) == (409, "run-stopping")


@pytest.mark.parametrize("verb", ["pause", "resume", "finish"])
def test_a_run_that_is_not_there_is_not_found(client: TestClient, verb: str) -> None:
    assert say(client, "nobody", verb)[0] == 404


def test_a_run_is_asked_to_stop_after_its_epoch(client: TestClient, scene: Scene) -> None:
    run_id = scene.run()
    claim = scene.claim()

    status, body = say(client, run_id, "finish")

    assert (status, body["status"], body["is_stopping"]) == (202, "running", False)
    with scene.database.read() as session:
        assert Jobs(session).wanted(claim) == "finish"


def test_a_run_without_an_epoch_cannot_stop_after_it(client: TestClient, scene: Scene) -> None:
    waiting, resting = scene.run(), scene.run()
    say(client, resting, "pause")

    assert refusal(client, waiting, "finish") == (409, "run-not-begun")
    assert refusal(client, resting, "finish") == (409, "run-paused")


def test_a_run_is_asked_for_by_whose_token_it_was(client: TestClient, scene: Scene) -> None:
    run_id = client.post("/api/v1/runs", json={"version_id": scene.version()}).json()["id"]

    with scene.database.read() as session:
        record = RunRepository(session).record(run_id)
    assert record is not None
    assert record.job.asked_by
    assert record.job.device == "auto"
