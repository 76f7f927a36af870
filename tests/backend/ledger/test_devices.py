"""Several devices for one job: idle ones of the same host, where nobody waits for them."""

import pytest
from sqlalchemy import select

from backend.db.session import Database
from backend.ledger.claiming import claim_next
from backend.ledger.job import WORKER_LOST, Claim, JobKind, Outcome, Worker
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.ledger.timers import Timers
from backend.tables.ledger import JobAttemptRow

CARDS = [Worker(f"w{index}", "host", f"cuda:{index}") for index in range(3)]


@pytest.fixture
def staffed(database: Database) -> Database:
    """A ledger that knows three workers of one host, each with a card."""
    with database.write() as session:
        for worker in CARDS:
            Ledger(session).heartbeat(worker, list(JobKind), "NVIDIA A10", "1")
    return database


def add(database: Database, subject: str, devices: int | None) -> None:
    with database.write() as session:
        Ledger(session).add(JobKind.TRAIN, subject, devices=devices)


def claim(database: Database, worker: Worker) -> Claim | None:
    return claim_next(database, JobKind.TRAIN, worker, Timers())


def close(database: Database, claim: Claim, outcome: Outcome) -> None:
    with database.write() as session:
        Ledger(session).close(claim.job_id, claim.attempt, outcome, failure=WORKER_LOST)


@pytest.mark.parametrize(
    ("devices", "expected"),
    [(None, ("cuda:0", "cuda:1", "cuda:2")), (2, ("cuda:0", "cuda:1")), (8, ("cuda:0", "cuda:1", "cuda:2")), (1, ())],
)
def test_a_job_gets_the_idle_devices_of_the_host_up_to_its_limit(
    staffed: Database, devices: int | None, expected: tuple[str, ...]
) -> None:
    add(staffed, "run", devices)

    claimed = claim(staffed, CARDS[0])

    assert claimed is not None
    assert claimed.devices == expected


def test_a_device_that_is_used_with_another_takes_no_job_until_it_is_free(staffed: Database) -> None:
    add(staffed, "large", 2)
    held = claim(staffed, CARDS[0])
    assert held is not None
    add(staffed, "small", 1)

    with staffed.read() as session:
        holder = Jobs(session).holder_of("host", "cuda:1")
        assert holder is not None
        assert holder.subject_id == "large"
    assert claim(staffed, CARDS[1]) is None
    close(staffed, held, Outcome.YIELDED)
    assert claim(staffed, CARDS[1]) is not None


def test_nobody_uses_several_devices_while_another_waits(staffed: Database) -> None:
    add(staffed, "first", None)
    add(staffed, "second", None)

    first, second = claim(staffed, CARDS[0]), claim(staffed, CARDS[2])

    assert first is not None
    assert second is not None
    assert first.devices == ()
    # Nobody waits any more, and the card in the middle is idle.
    assert second.devices == ("cuda:2", "cuda:1")


def test_devices_of_other_hosts_and_of_silent_or_failed_workers_are_left_alone(staffed: Database) -> None:
    with staffed.write() as session:
        Ledger(session).heartbeat(Worker("far", "elsewhere", "cuda:7"), list(JobKind), None, "1")
        Ledger(session).remove_worker("w1")
    add(staffed, "broken", 1)
    for _ in range(2):
        failed = claim(staffed, CARDS[2])
        assert failed is not None
        with staffed.write() as session:
            ledger = Ledger(session)
            ledger.close(failed.job_id, failed.attempt, Outcome.DEVICE_FAILED, exit_code=40, failure=WORKER_LOST)
            ledger.note_device_failure(failed.job_id, failed.attempt)
            ended = failed.job_id
    with staffed.write() as session:
        Ledger(session).cancel(ended)
    add(staffed, "run", None)

    claimed = claim(staffed, CARDS[0])

    assert claimed is not None
    assert claimed.devices == ()


def test_after_a_device_has_failed_the_job_continues_on_one(staffed: Database) -> None:
    add(staffed, "run", None)
    first = claim(staffed, CARDS[0])
    assert first is not None
    close(staffed, first, Outcome.DEVICE_FAILED)

    second = claim(staffed, CARDS[1])

    assert second is not None
    assert (len(first.devices), second.devices) == (3, ())


def test_processes_share_a_processor_only_where_that_was_asked_for(database: Database) -> None:
    worker = Worker("w", "host", "cpu:w")
    add(database, "auto", None)
    automatic = claim(database, worker)
    assert automatic is not None
    close(database, automatic, Outcome.DONE)
    with database.write() as session:
        Ledger(session).cancel(automatic.job_id)
    add(database, "two", 2)

    asked_for = claim(database, worker)

    assert asked_for is not None
    assert (automatic.devices, asked_for.devices) == ((), ("cpu", "cpu"))
    with database.read() as session:
        attempt = session.scalars(select(JobAttemptRow.id).where(JobAttemptRow.job_id == asked_for.job_id)).one()
        assert Jobs(session).devices_of(attempt) == ["cpu:w"]
