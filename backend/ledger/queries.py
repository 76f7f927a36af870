"""What may be asked of the ledger without changing it."""

from collections.abc import Callable
from itertools import takewhile
from typing import Final

from sqlalchemy import ColumnElement, case, exists, func, or_, select
from sqlalchemy.orm import Session

from backend.domain.ids import JobId
from backend.ledger.clock import database_now
from backend.ledger.job import (
    CLAIMED,
    Claim,
    Desired,
    JobKind,
    JobState,
    LostLease,
    Outcome,
    Signs,
    Worker,
)
from backend.ledger.queue_order import fair_rank, is_due, is_quarantined, is_ready, is_used, suits
from backend.tables.ledger import AttemptDeviceRow, JobAttemptRow, JobRow, WorkerRow

CLAIMED_STATES: Final = tuple(CLAIMED)


KILLED: Final = -9
"""Exit code of a process that the system has ended."""


class Jobs:
    """What may be asked of the ledger without changing it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, job_id: str) -> JobRow | None:
        """A job, as it is now."""
        return self._session.get(JobRow, job_id, populate_existing=True)

    def queue_positions(self, kind: JobKind) -> dict[str, int]:
        """Queue position of each waiting job, in the order in which they will be taken; the next one has 1."""
        waiting = select(JobRow.id).where(JobRow.kind == kind, JobRow.state == JobState.QUEUED)
        query = waiting.order_by(case((is_due(), 0), else_=1), fair_rank(), JobRow.id)
        return {job_id: position for position, job_id in enumerate(self._session.scalars(query), start=1)}

    def has_waiting(self, kind: JobKind, for_s: float, worker: Worker | None = None) -> bool:
        """Whether a job could have been taken at least ``for_s`` seconds ago, by that worker where one is named."""
        if kind is JobKind.HEATMAPS and self.is_open(JobKind.IMPORT):
            # Nobody waits for them, and they would take the processor from the pictures that are coming.
            return False
        if worker is None:
            return bool(self._session.scalar(select(exists().where(is_ready(kind, for_s)))))
        return not self.is_taken(worker) and self.has_ready(kind, worker, for_s)

    def has_ready(self, kind: JobKind, worker: Worker, for_s: float = 0.0) -> bool:
        """The same for a worker whether or not its device is in use."""
        return bool(self._session.scalar(select(exists().where(is_ready(kind, for_s), suits(worker)))))

    def is_open(self, kind: JobKind) -> bool:
        """Whether a job of this kind waits or is under way."""
        is_open = JobRow.state.in_([JobState.QUEUED, *CLAIMED_STATES])
        return bool(self._session.scalar(select(exists().where(JobRow.kind == kind, is_open))))

    def is_taken(self, worker: Worker) -> bool:
        """Whether a worker's device is in use or quarantined."""
        if worker.device is None:
            return False
        used = is_used(worker.host, worker.device)
        return bool(self._session.scalar(select(or_(used, is_quarantined(worker.host, worker.device)))))

    def is_busy(self, worker_id: str, kind: JobKind) -> bool:
        """Whether a worker has an open attempt at a job of this kind."""
        query = select(
            exists().where(
                JobAttemptRow.worker_id == worker_id,
                JobAttemptRow.ended_at.is_(None),
                JobAttemptRow.job_id == JobRow.id,
                JobRow.kind == kind,
            )
        )
        return bool(self._session.scalar(query))

    def wanted(self, claim: Claim) -> Desired:
        """What the job's owner wants.

        Raises:
            LostLease: the attempt doesn't hold the job any more.
        """
        found = self._session.scalar(select(JobRow.desired).where(*held_by(claim.job_id, claim.attempt)))
        if found is None:
            raise LostLease(claim.job_id, claim.attempt)
        return Desired(found)

    def kind_of(self, job_id: str) -> JobKind:
        """What a job does."""
        return JobKind(self._session.scalars(select(JobRow.kind).where(JobRow.id == job_id)).one())

    def state_of(self, claim: Claim) -> JobState | None:
        """The job's state; None where another attempt has had it since."""
        query = select(JobRow.state).where(JobRow.id == claim.job_id, JobRow.attempt == claim.attempt)
        found = self._session.scalar(query)
        return None if found is None else JobState(found)

    def signs_of(self, claim: Claim) -> Signs:
        """The newest sign of progress of an attempt, and how long the next may be in coming.

        Raises:
            LostLease: the attempt doesn't hold the job any more.
        """
        query = select(JobRow.last_progress_at, JobRow.stall_after_s).where(*held_by(claim.job_id, claim.attempt))
        row = self._session.execute(query).one_or_none()
        if row is None:
            raise LostLease(claim.job_id, claim.attempt)
        return Signs(row.last_progress_at, row.stall_after_s)

    def kills_in_a_row(self, job_id: str) -> int:
        """How many of the latest attempts at a job were killed by the system, most likely for their memory."""
        return self._ended_in_a_row(
            job_id, lambda attempt: attempt.exit_code == KILLED and attempt.outcome == Outcome.CRASHED
        )

    def holder_of(self, host: str, device: str) -> JobRow | None:
        """The job that is being done on a device now."""
        used = exists().where(
            AttemptDeviceRow.attempt_id == JobAttemptRow.id,
            AttemptDeviceRow.host == host,
            AttemptDeviceRow.device == device,
        )
        query = select(JobRow).join(JobAttemptRow, JobAttemptRow.job_id == JobRow.id)
        return self._session.scalar(query.where(JobAttemptRow.ended_at.is_(None), used).limit(1))

    def devices_of(self, attempt_id: str) -> list[str]:
        """The devices that an attempt uses or has used, in the order of their names."""
        query = select(AttemptDeviceRow.device).where(AttemptDeviceRow.attempt_id == attempt_id)
        return list(self._session.scalars(query.order_by(AttemptDeviceRow.device)))

    def seconds_until_due(self, job_id: str) -> float:
        """How long until the time of a job's next try; at most 0 once it has come."""
        query = select(JobRow.not_before, database_now()).where(JobRow.id == job_id)
        due, now = self._session.execute(query).one()
        return 0.0 if due is None else float((due - now).total_seconds())

    def quarantined(self, heard_within_s: float) -> set[str]:
        """Ids of workers whose device is left alone for a while."""
        query = select(WorkerRow.id).where(WorkerRow.quarantined_until > database_now())
        return set(self._session.scalars(query.where(WorkerRow.last_heartbeat_at > database_now(-heard_within_s))))

    def claim_of(self, job_id: str, attempt: int) -> Claim | None:
        """What an attempt holds; None where it holds nothing any more."""
        row = self._session.execute(
            select(JobRow.kind, JobRow.subject_id).where(*held_by(job_id, attempt))
        ).one_or_none()
        return None if row is None else Claim(JobId(job_id), JobKind(row.kind), row.subject_id, attempt)

    def waiting(self) -> dict[str, int]:
        """Number of waiting jobs by kind."""
        query = select(JobRow.kind, func.count()).where(JobRow.state == JobState.QUEUED).group_by(JobRow.kind)
        return {kind: count for kind, count in self._session.execute(query)}

    def workers(self, heard_within_s: float) -> list[WorkerRow]:
        """Workers whose last heartbeat is recent."""
        query = select(WorkerRow).where(WorkerRow.last_heartbeat_at > database_now(-heard_within_s))
        return list(self._session.scalars(query.order_by(WorkerRow.id)))

    def attempts(self, job_id: str) -> list[JobAttemptRow]:
        """All tries at a job, the first one first."""
        query = select(JobAttemptRow).where(JobAttemptRow.job_id == job_id).order_by(JobAttemptRow.number)
        return list(self._session.scalars(query))

    def _ended_in_a_row(self, job_id: str, so: Callable[[JobAttemptRow], bool]) -> int:
        """How many of the latest attempts that are over ended ``so``."""
        over = [attempt for attempt in self.attempts(job_id) if attempt.ended_at is not None]
        return len(list(takewhile(so, reversed(over))))


def held_by(job_id: str, attempt: int) -> tuple[ColumnElement[bool], ...]:
    return JobRow.id == job_id, JobRow.attempt == attempt, JobRow.state.in_(CLAIMED_STATES)
