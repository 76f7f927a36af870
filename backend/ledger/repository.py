"""All SQL over jobs, attempts and workers.

Every write of an attempt goes through ``fence``: it takes the job's row, so that
a sweep or another claim waits for the end of the transaction, and it says
``WHERE attempt = mine``, so that who was overtaken writes nothing at all.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, or_, select, text, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session, aliased

from backend.db.session import WriteSession
from backend.domain.ids import JobId, new_id
from backend.ledger.clock import database_now
from backend.ledger.job import CLAIMED, Claim, Desired, Failure, JobKind, JobState, LostLease, Outcome, Worker
from backend.ledger.tables import JobAttemptRow, JobRow, WorkerRow
from backend.ledger.timers import Timers

_CLAIMED: Final = tuple(CLAIMED)
# Any number that no other program on the same PostgreSQL uses as its lock.
_SWEEP_LOCK: Final = 7_355_608_002


class Jobs:
    """What may be asked of the ledger without changing it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, job_id: str) -> JobRow | None:
        """A job, as it is now."""
        return self._session.get(JobRow, job_id, populate_existing=True)

    def places_in_line(self, kind: JobKind) -> dict[str, int]:
        """Place of each waiting job, the next one first (1)."""
        query = select(JobRow.id).where(JobRow.kind == kind, JobRow.state == JobState.QUEUED).order_by(JobRow.id)
        return {job_id: place for place, job_id in enumerate(self._session.scalars(query), start=1)}

    def has_waiting(self, kind: JobKind, for_s: float) -> bool:
        """Whether a job could have been taken at least ``for_s`` seconds ago."""
        query = select(exists().where(_is_ready(kind, for_s)))
        return bool(self._session.scalar(query))

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
        found = self._session.scalar(select(JobRow.desired).where(*_held(claim.job_id, claim.attempt)))
        if found is None:
            raise LostLease(claim.job_id, claim.attempt)
        return Desired(found)

    def state_of(self, claim: Claim) -> JobState | None:
        """The job's state; None where another attempt has had it since."""
        query = select(JobRow.state).where(JobRow.id == claim.job_id, JobRow.attempt == claim.attempt)
        found = self._session.scalar(query)
        return None if found is None else JobState(found)

    def is_stuck(self, claim: Claim, after_s: float) -> bool:
        """Whether the attempt has shown no progress for so long."""
        query = select(
            exists().where(*_held(claim.job_id, claim.attempt), JobRow.last_progress_at < database_now(-after_s))
        )
        return bool(self._session.scalar(query))

    def claim_of(self, job_id: str, attempt: int) -> Claim | None:
        """What an attempt holds; None where it holds nothing any more."""
        row = self._session.execute(select(JobRow.kind, JobRow.subject_id).where(*_held(job_id, attempt))).one_or_none()
        return None if row is None else Claim(JobId(job_id), JobKind(row.kind), row.subject_id, attempt)

    def waiting(self) -> dict[str, int]:
        """Number of waiting jobs by kind."""
        query = select(JobRow.kind, func.count()).where(JobRow.state == JobState.QUEUED).group_by(JobRow.kind)
        return {kind: count for kind, count in self._session.execute(query)}

    def workers(self, heard_within_s: float) -> list[WorkerRow]:
        """Workers that have lately said they are alive."""
        query = select(WorkerRow).where(WorkerRow.last_heartbeat_at > database_now(-heard_within_s))
        return list(self._session.scalars(query.order_by(WorkerRow.id)))

    def attempts(self, job_id: str) -> list[JobAttemptRow]:
        """All tries at a job, the first one first."""
        query = select(JobAttemptRow).where(JobAttemptRow.job_id == job_id).order_by(JobAttemptRow.number)
        return list(self._session.scalars(query))


class Ledger(Jobs):
    """What may be written into the ledger. Each method belongs to the caller's transaction."""

    def __init__(self, session: WriteSession, timers: Timers | None = None) -> None:
        super().__init__(session)
        self._timers = timers or Timers()

    def add(self, kind: JobKind, subject_id: str) -> JobId:
        """A new job, waiting; whoever commits rings for it."""
        job_id = JobId(new_id())
        values = {"id": job_id, "kind": kind, "subject_id": subject_id, "state": JobState.QUEUED}
        now = database_now()
        self._session.execute(insert(JobRow).values(**values, not_before=now, last_ring_at=now))
        return job_id

    def claim(self, kind: JobKind, worker: Worker) -> Claim | None:
        """Take the job that has waited longest; None where there is none or the device is taken."""
        if worker.device and self._is_taken(worker):
            return None
        chosen = (
            select(JobRow.id)
            .where(_is_ready(kind))
            .order_by(JobRow.id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        now = database_now()
        taken = self._session.execute(
            update(JobRow)
            .where(JobRow.id == chosen, JobRow.state == JobState.QUEUED)
            .values(
                state=JobState.STARTING,
                attempt=JobRow.attempt + 1,
                lease_owner=worker.id,
                lease_expires_at=database_now(self._timers.lease),
                # Set here, or a worker that dies before its first heartbeat would never be missed.
                last_heartbeat_at=now,
                last_progress_at=now,
                started_at=func.coalesce(JobRow.started_at, now),
            )
            .returning(JobRow.id, JobRow.subject_id, JobRow.attempt)
        ).one_or_none()
        if taken is None:
            return None
        claim = Claim(JobId(taken.id), kind, taken.subject_id, taken.attempt)
        self._open_attempt(claim, worker)
        return claim

    def fence(self, job_id: str, attempt: int, **changes: Any) -> None:  # Any: column values
        """Take the job's row for this transaction, and change it.

        Raises:
            LostLease: the attempt doesn't hold the job any more.
        """
        query = update(JobRow).where(*_held(job_id, attempt)).values(**{"attempt": JobRow.attempt, **changes})
        if not self._changed(query):
            raise LostLease(job_id, attempt)

    def renew(self, job_id: str, attempt: int) -> Desired:
        """Prolong the lease; what the job's owner wants.

        Raises:
            LostLease: the attempt doesn't hold the job any more.
        """
        self.fence(
            job_id,
            attempt,
            lease_expires_at=database_now(self._timers.lease),
            last_heartbeat_at=database_now(),
        )
        return Desired(self._session.scalars(select(JobRow.desired).where(JobRow.id == job_id)).one())

    def note_pid(self, job_id: str, attempt: int, pid: int) -> None:
        """Which process makes the attempt."""
        self._session.execute(
            update(JobAttemptRow).where(JobAttemptRow.job_id == job_id, JobAttemptRow.number == attempt).values(pid=pid)
        )

    def begin(self, job_id: str, attempt: int) -> None:
        """The attempt has got going: ``starting`` becomes ``running``; a job that is to stop goes on stopping.

        Raises:
            LostLease: the attempt doesn't hold the job any more.
        """
        self.fence(job_id, attempt, last_progress_at=database_now())
        self._session.execute(
            update(JobRow)
            .where(*_held(job_id, attempt), JobRow.state == JobState.STARTING)
            .values(state=JobState.RUNNING)
        )

    def progress_seen(self, job_id: str, attempt: int) -> None:
        """A sign of life of the work itself: it isn't stuck, whatever it has achieved.

        Raises:
            LostLease: the attempt doesn't hold the job any more.
        """
        self.fence(job_id, attempt, last_progress_at=database_now())

    def progressed(self, job_id: str, attempt: int) -> None:
        """Something was achieved that a later attempt needn't repeat: former failures are forgiven.

        Raises:
            LostLease: the attempt doesn't hold the job any more.
        """
        self.fence(job_id, attempt, last_progress_at=database_now(), no_progress=0)

    def finish(self, job_id: str, attempt: int) -> JobState:
        """The work is done; ``cancelled`` where its owner said so first.

        Raises:
            LostLease: the attempt doesn't hold the job any more.
        """
        self.fence(job_id, attempt, last_progress_at=database_now())
        job = self._job(job_id)
        end = JobState.CANCELLED if job.state == JobState.STOPPING else JobState.SUCCEEDED
        self._end(job_id, end)
        return end

    def fail(self, job_id: str, attempt: int, failure: Failure) -> JobState:
        """The work can't be done, and trying again wouldn't help; ``cancelled`` where its owner said so first.

        Raises:
            LostLease: the attempt doesn't hold the job any more.
        """
        self.fence(job_id, attempt)
        if self._job(job_id).desired == Desired.CANCEL:
            return self._end(job_id, JobState.CANCELLED)
        return self._end(job_id, JobState.FAILED, failure)

    def cancel(self, job_id: str) -> JobState:
        """Its owner doesn't want it any more; the state that follows at once.

        A waiting job is cancelled; one that an attempt holds stops as soon as its worker sees it.
        """
        waiting = JobRow.state.in_((JobState.QUEUED, JobState.PAUSED))
        ended = (
            update(JobRow)
            .where(JobRow.id == job_id, waiting)
            .values(state=JobState.CANCELLED, desired=Desired.CANCEL, ended_at=database_now())
        )
        if not self._changed(ended):
            self._session.execute(
                update(JobRow)
                .where(JobRow.id == job_id, JobRow.state.in_(_CLAIMED))
                .values(state=JobState.STOPPING, desired=Desired.CANCEL)
            )
        return JobState(self._job(job_id).state)

    def close(
        self, job_id: str, attempt: int, outcome: Outcome, *, exit_code: int | None = None, failure: Failure
    ) -> JobState | None:
        """An attempt is over: note how, free its device, and give the job the state that follows.

        Safe to repeat. ``failure`` is what is said when this was the last try.

        Returns:
            The job's new state; None where it had moved on before (it ended, or somebody else has it).
        """
        found: JobState | None = None
        if self._changed(update(JobRow).where(*_held(job_id, attempt)).values(attempt=JobRow.attempt)):
            found = self._state_after(self._job(job_id), outcome, failure)
        closed = (
            update(JobAttemptRow)
            .where(JobAttemptRow.job_id == job_id, JobAttemptRow.number == attempt, JobAttemptRow.ended_at.is_(None))
            .values(ended_at=database_now(), exit_code=exit_code, outcome=_said(outcome, found, self._job(job_id)))
        )
        self._session.execute(closed)
        return found

    def lost(self) -> list[tuple[JobId, int]]:
        """Jobs whose lease has run out, with the attempt that held them; their rows are taken."""
        query = (
            select(JobRow.id, JobRow.attempt)
            .where(
                JobRow.state.in_(_CLAIMED),
                # A claimed job without a lease can't be; if it were, nobody would ever miss it.
                or_(JobRow.lease_expires_at.is_(None), JobRow.lease_expires_at < database_now()),
            )
            .order_by(JobRow.id)
            .with_for_update(skip_locked=True)
        )
        return [(JobId(job_id), attempt) for job_id, attempt in self._session.execute(query)]

    def close_leftovers(self) -> int:
        """Close attempts that nobody can be making: their job has ended or was taken on by another attempt.

        Leaves those some time whose worker is still to say how its process ended.
        """
        job = aliased(JobRow)
        moved_on = exists().where(
            job.id == JobAttemptRow.job_id,
            or_(job.state.not_in(_CLAIMED), job.attempt != JobAttemptRow.number),
            or_(job.lease_expires_at.is_(None), job.lease_expires_at < database_now()),
        )
        return self._count(
            update(JobAttemptRow)
            .where(JobAttemptRow.ended_at.is_(None), moved_on)
            .values(ended_at=database_now(), outcome=Outcome.LOST)
        )

    def due_for_a_ring(self) -> list[JobKind]:
        """Kinds with a job that waits and wasn't rung for a while; it counts as rung now."""
        rung = update(JobRow).where(
            JobRow.state == JobState.QUEUED,
            _is_due(),
            or_(JobRow.last_ring_at.is_(None), JobRow.last_ring_at < database_now(-self._timers.ring_again)),
        )
        rung_kinds = rung.values(last_ring_at=database_now()).returning(JobRow.kind)
        kinds = self._session.scalars(rung_kinds, execution_options={"synchronize_session": False})
        return [JobKind(kind) for kind in sorted(set(kinds))]

    def may_sweep(self) -> bool:
        """Whether this transaction is the only one that sweeps."""
        if self._session.get_bind().dialect.name == "sqlite":
            return True  # write transactions come one after the other anyway
        return bool(self._session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _SWEEP_LOCK}))

    def say_alive(self, worker: Worker, kinds: Collection[JobKind], device_name: str | None, version: str) -> None:
        """Note that a worker is there."""
        values: Mapping[str, Any] = {  # Any: column values
            "host": worker.host,
            "kinds": ",".join(sorted(kinds)),
            "device": worker.device,
            "device_name": device_name,
            "version": version,
            "last_heartbeat_at": database_now(),
        }
        if not self._changed(update(WorkerRow).where(WorkerRow.id == worker.id).values(**values)):
            self._session.execute(insert(WorkerRow).values(id=worker.id, started_at=database_now(), **values))

    def say_goodbye(self, worker_id: str) -> None:
        """Note that a worker has left."""
        self._session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))

    def forget_workers(self, silent_for_s: float) -> None:
        """Drop workers that haven't been heard of for long."""
        self._session.execute(delete(WorkerRow).where(WorkerRow.last_heartbeat_at < database_now(-silent_for_s)))

    def _is_taken(self, worker: Worker) -> bool:
        query = select(
            exists().where(
                JobAttemptRow.host == worker.host,
                JobAttemptRow.device == worker.device,
                JobAttemptRow.ended_at.is_(None),
            )
        )
        return bool(self._session.scalar(query))

    def _open_attempt(self, claim: Claim, worker: Worker) -> None:
        self._session.execute(
            insert(JobAttemptRow).values(
                id=new_id(),
                job_id=claim.job_id,
                number=claim.attempt,
                worker_id=worker.id,
                host=worker.host,
                device=worker.device,
                started_at=database_now(),
            )
        )

    def _state_after(self, job: JobRow, outcome: Outcome, failure: Failure) -> JobState:
        if job.desired == Desired.CANCEL:
            return self._end(job.id, JobState.CANCELLED)
        if job.desired == Desired.PAUSE or outcome is Outcome.PAUSED:
            return self._release(job.id, JobState.PAUSED)
        if outcome is Outcome.YIELDED:
            return self._release(job.id, JobState.QUEUED, not_before=database_now())
        tries = job.no_progress + 1
        if tries >= self._timers.tries:
            return self._end(job.id, JobState.FAILED, failure, no_progress=tries)
        wait = self._timers.wait_after(tries)
        return self._release(job.id, JobState.QUEUED, no_progress=tries, not_before=database_now(wait))

    def _release(self, job_id: str, state: JobState, **changes: Any) -> JobState:  # Any: column values
        return self._leave(job_id, state, last_ring_at=None, **changes)

    def _end(self, job_id: str, state: JobState, failure: Failure | None = None, **changes: Any) -> JobState:
        if failure:
            changes |= {
                "error_code": failure.code,
                "error_message": failure.message,
                "error_advice": failure.advice,
            }
        return self._leave(job_id, state, ended_at=database_now(), **changes)

    def _leave(self, job_id: str, state: JobState, **changes: Any) -> JobState:  # Any: column values
        before = JobState(self._job(job_id).state)
        assert before.may_become(state), f"{before} -> {state}"
        # The lease's end stays: until then the sweep leaves the attempt to its worker (``close_leftovers``).
        self._session.execute(
            update(JobRow).where(JobRow.id == job_id).values(state=state, lease_owner=None, **changes)
        )
        return state

    def _job(self, job_id: str) -> JobRow:
        return self._session.get_one(JobRow, job_id, populate_existing=True)

    def _changed(self, statement: Any) -> bool:  # Any: an UPDATE
        return self._count(statement) > 0

    def _count(self, statement: Any) -> int:  # Any: an UPDATE
        result = self._session.execute(statement, execution_options={"synchronize_session": False})
        assert isinstance(result, CursorResult)
        return result.rowcount


def _is_due() -> ColumnElement[bool]:
    return or_(JobRow.not_before.is_(None), JobRow.not_before <= database_now())


def _is_ready(kind: JobKind, for_s: float = 0.0) -> ColumnElement[bool]:
    return and_(
        JobRow.kind == kind,
        JobRow.state == JobState.QUEUED,
        or_(JobRow.not_before.is_(None), JobRow.not_before <= database_now(-for_s)),
    )


def _held(job_id: str, attempt: int) -> tuple[ColumnElement[bool], ...]:
    return JobRow.id == job_id, JobRow.attempt == attempt, JobRow.state.in_(_CLAIMED)


def _said(outcome: Outcome, found: JobState | None, job: JobRow) -> Outcome:
    """How the attempt is written down: what became of the job says more than how the process ended."""
    state = found or JobState(job.state)
    if state is JobState.CANCELLED:
        return Outcome.CANCELLED
    if found is None and outcome is Outcome.DONE and state is JobState.FAILED:
        return Outcome.FAILED
    return outcome
