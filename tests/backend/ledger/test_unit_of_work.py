import pytest
from sqlalchemy import select

from backend.db.session import Database
from backend.ledger.job import JobKind
from backend.ledger.unit_of_work import unit_of_work
from backend.tables.ledger import JobRow
from tests.conftest import CollectingNotifier


def test_it_notifies_after_the_commit(database: Database, notifier: CollectingNotifier) -> None:
    with unit_of_work(database, notifier) as unit:
        job_id = unit.enqueue(JobKind.TRAIN, "run-1")
        assert notifier.notifications == []

    assert notifier.notifications == [JobKind.TRAIN]
    with database.read() as session:
        job = session.get_one(JobRow, job_id)
        assert (job.kind, job.subject_id, job.state, job.attempt) == ("train", "run-1", "queued", 0)


def test_it_notifies_once_for_many_jobs_of_a_kind(database: Database, notifier: CollectingNotifier) -> None:
    with unit_of_work(database, notifier) as unit:
        unit.enqueue(JobKind.TRAIN, "run-1")
        unit.enqueue(JobKind.IMPORT, "import-1")
        unit.enqueue(JobKind.TRAIN, "run-2")

    assert notifier.notifications == [JobKind.TRAIN, JobKind.IMPORT]


def test_it_neither_stores_nor_notifies_when_the_request_fails(
    database: Database, notifier: CollectingNotifier
) -> None:
    def fail_after_enqueueing() -> None:
        with unit_of_work(database, notifier) as unit:
            unit.enqueue(JobKind.TRAIN, "run-1")
            raise LookupError("something else went wrong")

    with pytest.raises(LookupError):
        fail_after_enqueueing()

    assert notifier.notifications == []
    with database.read() as session:
        assert session.scalars(select(JobRow)).all() == []
