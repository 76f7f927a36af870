"""A ledger whose clock can be turned by turning the rows' times."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import update

from backend.db.session import Database
from backend.domain.ids import JobId
from backend.ledger.clock import database_now
from backend.ledger.job import Claim, JobKind, Worker
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.ledger.timers import Timers
from backend.tables.ledger import JobAttemptRow, JobRow

WORKER = Worker("worker-1", "host-1", "cpu:worker-1")
OTHER_WORKER = Worker("worker-2", "host-1", "cpu:worker-2")


@dataclass(frozen=True, slots=True)
class Books:
    """Short ways to ask the ledger, each in a transaction of its own."""

    database: Database
    timers: Timers = Timers()

    @contextmanager
    def write(self) -> Iterator[Ledger]:
        """A transaction."""
        with self.database.write() as session:
            yield Ledger(session, self.timers)

    def add(self, subject_id: str = "run-1", kind: JobKind = JobKind.TRAIN) -> JobId:
        """A waiting job."""
        with self.write() as ledger:
            return ledger.add(kind, subject_id)

    def claim(self, worker: Worker = WORKER, kind: JobKind = JobKind.TRAIN) -> Claim | None:
        """Try to take a job."""
        with self.write() as ledger:
            return ledger.claim(kind, worker)

    def claimed(self, worker: Worker = WORKER) -> Claim:
        """A new job, and taken."""
        self.add()
        claim = self.claim(worker)
        assert claim is not None
        return claim

    def job(self, job_id: str) -> JobRow:
        """A job as it stands."""
        with self.database.read() as session:
            found = Jobs(session).find(job_id)
            assert found is not None
            return found

    def attempts(self, job_id: str) -> list[JobAttemptRow]:
        """All tries at it."""
        with self.database.read() as session:
            return Jobs(session).attempts(job_id)

    def change(self, job_id: str, **values: Any) -> None:  # Any: column values
        """Write straight into the job's row."""
        with self.database.write() as session:
            session.execute(update(JobRow).where(JobRow.id == job_id).values(**values))

    def let_lease_expire(self, job_id: str) -> None:
        """As if a minute had gone by without a heartbeat."""
        self.change(job_id, lease_expires_at=database_now(-1))


@pytest.fixture
def books(database: Database) -> Books:
    """The ledger, on either kind of database."""
    return Books(database)
