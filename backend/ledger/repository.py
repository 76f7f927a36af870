"""All SQL over jobs, attempts and workers.

Every write of an attempt goes through ``fence``: it takes the job's row, so that
a sweep or another claim waits for the end of the transaction, and it has
``WHERE attempt = mine``, so that who was overtaken writes nothing at all.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import delete, exists, func, insert, or_, select, text, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import aliased

from backend.db.session import WriteSession
from backend.domain.ids import JobId, new_id
from backend.ledger.clock import database_now
from backend.ledger.devices import devices_for, note_devices, release_devices
from backend.ledger.job import (
    UNKNOWN_STATE,
    Claim,
    Desired,
    Failure,
    JobKind,
    JobState,
    LostLease,
    MachineState,
    Outcome,
    Worker,
)
from backend.ledger.outcomes import recorded_outcome
from backend.ledger.queries import CLAIMED_STATES, Jobs, held_by
from backend.ledger.queue_order import fair_rank, is_due, is_ready, suits
from backend.ledger.timers import Timers
from backend.tables.ledger import JobAttemptRow, JobRow, WorkerRow

# Any number that no other program on the same PostgreSQL uses as its lock.
_SWEEP_LOCK: Final = 7_355_608_002
_PLAIN: Final = {"synchronize_session": False}
_NO_ERROR: Final = {"error_code": None, "error_message": None, "error_advice": None, "waits_for_bytes": None}


class Ledger(Jobs):
    """What may be written into the ledger. Each method belongs to the caller's transaction."""

    def __init__(self, session: WriteSession, timers: Timers | None = None) -> None:
        super().__init__(session)
        self._timers = timers or Timers()

    def add(
        self,
        kind: JobKind,
        subject_id: str,
        *,
        asked_by: str | None = None,
        device: str = "auto",
        devices: int | None = 1,
        memory_bytes: int | None = None,
    ) -> JobId:
        """A new job, waiting; whoever commits notifies for it. Arguments are columns of ``JobRow``."""
        job_id = JobId(new_id())
        now = database_now()
        self._session.execute(
            insert(JobRow).values(
                id=job_id,
                kind=kind,
                subject_id=subject_id,
                state=JobState.QUEUED,
                asked_by=asked_by,
                device=device,
                devices=devices,
                memory_bytes=memory_bytes,
                not_before=now,
                last_notified_at=now,
            )
        )
        return job_id

    def claim(self, kind: JobKind, worker: Worker) -> Claim | None:
        """Take the job whose turn it is; None where none suits, or the device is taken or quarantined."""
        if self.is_taken(worker):
            return None
        chosen = (
            select(JobRow.id)
            .where(is_ready(kind), suits(worker))
            .order_by(fair_rank(), JobRow.id)
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
                # Set here, or a worker that ends before its first heartbeat would never be missed.
                last_heartbeat_at=now,
                last_progress_at=now,
                stall_after_s=None,
                started_at=func.coalesce(JobRow.started_at, now),
            )
            .returning(JobRow.id, JobRow.subject_id, JobRow.attempt, JobRow.device, JobRow.devices)
        ).one_or_none()
        if taken is None:
            return None
        # After a device has failed one: which of several it was isn't known.
        has_failed = self._ended_in_a_row(taken.id, lambda attempt: attempt.outcome == Outcome.DEVICE_FAILED)
        most = 1 if has_failed else taken.devices
        devices = devices_for(self._session, kind, worker, most, self._timers)
        claim = Claim(JobId(taken.id), kind, taken.subject_id, taken.attempt, taken.device, devices)
        self._open_attempt(claim, worker)
        return claim

    def fence(self, job_id: str, attempt: int, **changes: Any) -> None:  # Any: column values
        """Take the job's row for this transaction, and change it.

        Raises:
            LostLease: the attempt doesn't hold the job any more.
        """
        query = update(JobRow).where(*held_by(job_id, attempt)).values(**{"attempt": JobRow.attempt, **changes})
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
        """The attempt has begun: ``starting`` becomes ``running``; a job that is stopping stays so.

        Raises:
            LostLease: the attempt doesn't hold the job any more.
        """
        self.fence(job_id, attempt, last_progress_at=database_now())
        self._session.execute(
            update(JobRow)
            .where(*held_by(job_id, attempt), JobRow.state == JobState.STARTING)
            .values(state=JobState.RUNNING)
        )

    def progress_seen(self, job_id: str, attempt: int) -> None:
        """The work has advanced: it isn't stuck, whatever it has achieved.

        Raises:
            LostLease: the attempt doesn't hold the job any more.
        """
        self.fence(job_id, attempt, last_progress_at=database_now())

    def set_stall_timeout(self, job_id: str, attempt: int, stall_after_s: float) -> None:
        """How long the next progress may take to come.

        Raises:
            LostLease: the attempt doesn't hold the job any more.
        """
        self.fence(job_id, attempt, stall_after_s=stall_after_s)

    def progressed(self, job_id: str, attempt: int) -> None:
        """Something was achieved that a later attempt needn't repeat: former failures are forgiven.

        Raises:
            LostLease: the attempt doesn't hold the job any more.
        """
        self.fence(job_id, attempt, last_progress_at=database_now(), no_progress=0)

    def finish(self, job_id: str, attempt: int) -> JobState:
        """The work is done; ``cancelled`` where its owner cancelled it first.

        Raises:
            LostLease: the attempt doesn't hold the job any more.
        """
        self.fence(job_id, attempt, last_progress_at=database_now())
        job = self._job(job_id)
        # One that finished before it could pause has nothing left to do.
        end = JobState.CANCELLED if job.desired == Desired.CANCEL else JobState.SUCCEEDED
        self._end(job_id, end)
        return end

    def fail(self, job_id: str, attempt: int, failure: Failure) -> JobState:
        """The work can't be done, and trying again wouldn't help; ``cancelled`` where its owner cancelled it first.

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
                .where(JobRow.id == job_id, JobRow.state.in_(CLAIMED_STATES))
                .values(state=JobState.STOPPING, desired=Desired.CANCEL)
            )
        return JobState(self._job(job_id).state)

    def pause(self, job_id: str) -> JobState:
        """Its owner pauses it; the state that follows at once.

        A waiting job is paused; one that an attempt holds saves where it is and stops. One that is to be
        cancelled, or has ended, stays as it is.
        """
        waiting = update(JobRow).where(JobRow.id == job_id, JobRow.state.in_((JobState.QUEUED, JobState.PAUSED)))
        if not self._changed(waiting.values(state=JobState.PAUSED, desired=Desired.PAUSE)):
            held = update(JobRow).where(
                JobRow.id == job_id, JobRow.state.in_(CLAIMED_STATES), JobRow.desired != Desired.CANCEL
            )
            self._session.execute(held.values(state=JobState.STOPPING, desired=Desired.PAUSE))
        return JobState(self._job(job_id).state)

    def resume(self, job_id: str) -> JobState:
        """Its owner resumes it; the state that follows at once. Whoever commits notifies for a waiting one.

        One that was to pause and hasn't stopped yet continues; where its process was asked already, it comes
        back into the queue by itself (``close``).
        """
        rested = update(JobRow).where(JobRow.id == job_id, JobRow.state == JobState.PAUSED)
        now = database_now()
        if not self._changed(
            rested.values(
                state=JobState.QUEUED,
                desired=Desired.RUN,
                not_before=now,
                last_notified_at=now,
                no_progress=0,
                **_NO_ERROR,
            )
        ):
            held = update(JobRow).where(
                JobRow.id == job_id, JobRow.state == JobState.STOPPING, JobRow.desired == Desired.PAUSE
            )
            self._session.execute(held.values(state=JobState.RUNNING, desired=Desired.RUN))
        return JobState(self._job(job_id).state)

    def finish_soon(self, job_id: str) -> JobState:
        """Its owner wants it to end well as soon as there is something to keep; the state that it has.

        Nothing changes for a job that is stopping, is paused, or has ended.
        """
        may = JobRow.state.in_((JobState.QUEUED, JobState.STARTING, JobState.RUNNING))
        self._session.execute(update(JobRow).where(JobRow.id == job_id, may).values(desired=Desired.FINISH))
        return JobState(self._job(job_id).state)

    def pause_for_room(self, job_id: str, attempt: int, failure: Failure, needed_bytes: int) -> JobState:
        """The disk is full: the job is paused, with the reason, until there is room for ``needed_bytes``.

        Nothing is counted against it. ``cancelled`` where its owner cancelled it first.

        Raises:
            LostLease: the attempt doesn't hold the job any more.
        """
        self.fence(job_id, attempt)
        if self._job(job_id).desired == Desired.CANCEL:
            return self._end(job_id, JobState.CANCELLED)
        return self._release(job_id, JobState.PAUSED, waits_for_bytes=needed_bytes, **_error(failure))

    def resume_when_disk_frees(self, free_bytes: int) -> list[JobId]:
        """Put jobs back into the queue that were paused for want of ``free_bytes`` or less; their ids."""
        now = database_now()
        query = (
            update(JobRow)
            .where(
                JobRow.state == JobState.PAUSED,
                JobRow.desired.in_((Desired.RUN, Desired.FINISH)),
                JobRow.waits_for_bytes <= free_bytes,
            )
            .values(state=JobState.QUEUED, not_before=now, last_notified_at=None, **_NO_ERROR)
            .returning(JobRow.id)
        )
        return [JobId(found) for found in self._session.scalars(query, execution_options=_PLAIN)]

    def note_device_failure(self, job_id: str, attempt: int) -> bool:
        """An attempt's device broke down under it; the second time in a row it is left alone for a while.

        To be called once the attempt is closed. Returns whether the device is quarantined now.
        """
        mine = self._session.scalars(
            select(JobAttemptRow).where(JobAttemptRow.job_id == job_id, JobAttemptRow.number == attempt)
        ).one()
        before = (
            select(JobAttemptRow.exit_code)
            .where(
                JobAttemptRow.host == mine.host,
                JobAttemptRow.device == mine.device,
                JobAttemptRow.ended_at.is_not(None),
                JobAttemptRow.id != mine.id,
            )
            .order_by(JobAttemptRow.ended_at.desc(), JobAttemptRow.id.desc())
            .limit(1)
        )
        if self._session.scalar(before) != mine.exit_code:
            return False
        quarantine = update(WorkerRow).where(WorkerRow.host == mine.host, WorkerRow.device == mine.device)
        return self._changed(quarantine.values(quarantined_until=database_now(self._timers.quarantined)))

    def close(
        self, job_id: str, attempt: int, outcome: Outcome, *, exit_code: int | None = None, failure: Failure
    ) -> JobState | None:
        """An attempt is over: note how, free its device, and give the job the state that follows.

        Safe to repeat. ``failure`` is the reason that is kept where this was the last try.

        Returns:
            The job's new state; None where it had moved on before (it ended, or another attempt has it).
        """
        found: JobState | None = None
        if self._changed(update(JobRow).where(*held_by(job_id, attempt)).values(attempt=JobRow.attempt)):
            found = self._state_after(self._job(job_id), outcome, failure)
        closed = (
            update(JobAttemptRow)
            .where(JobAttemptRow.job_id == job_id, JobAttemptRow.number == attempt, JobAttemptRow.ended_at.is_(None))
            .values(
                ended_at=database_now(),
                exit_code=exit_code,
                outcome=recorded_outcome(outcome, found, self._job(job_id), attempt),
            )
        )
        self._session.execute(closed)
        release_devices(self._session)
        return found

    def lost(self) -> list[tuple[JobId, int]]:
        """Jobs whose lease has run out, with the attempt that held them; their rows are taken."""
        query = (
            select(JobRow.id, JobRow.attempt)
            .where(
                JobRow.state.in_(CLAIMED_STATES),
                # A claimed job without a lease can't be; if there were one, it would never be missed.
                or_(JobRow.lease_expires_at.is_(None), JobRow.lease_expires_at < database_now()),
            )
            .order_by(JobRow.id)
            .with_for_update(skip_locked=True)
        )
        return [(JobId(job_id), attempt) for job_id, attempt in self._session.execute(query)]

    def close_orphaned_attempts(self) -> int:
        """Close attempts that can't be under way: their job has ended or another attempt has it.

        Leaves those some time whose worker may still record how its process ended.
        """
        job = aliased(JobRow)
        moved_on = exists().where(
            job.id == JobAttemptRow.job_id,
            or_(job.state.not_in(CLAIMED_STATES), job.attempt != JobAttemptRow.number),
            or_(job.lease_expires_at.is_(None), job.lease_expires_at < database_now()),
        )
        closed = self._count(
            update(JobAttemptRow)
            .where(JobAttemptRow.ended_at.is_(None), moved_on)
            .values(ended_at=database_now(), outcome=Outcome.LOST)
        )
        release_devices(self._session)
        return closed

    def due_for_notification(self) -> list[JobKind]:
        """Kinds with a waiting job without a recent notification; it counts as notified now."""
        notified = update(JobRow).where(
            JobRow.state == JobState.QUEUED,
            is_due(),
            or_(JobRow.last_notified_at.is_(None), JobRow.last_notified_at < database_now(-self._timers.notify_again)),
        )
        kinds_notified = notified.values(last_notified_at=database_now()).returning(JobRow.kind)
        kinds = self._session.scalars(kinds_notified, execution_options=_PLAIN)
        return [JobKind(kind) for kind in sorted(set(kinds))]

    def may_sweep(self) -> bool:
        """Whether this transaction is the only one that sweeps."""
        if self._session.get_bind().dialect.name == "sqlite":
            return True  # write transactions come one after the other anyway
        return bool(self._session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _SWEEP_LOCK}))

    def heartbeat(
        self,
        worker: Worker,
        kinds: Collection[JobKind],
        device_name: str | None,
        version: str,
        state: MachineState = UNKNOWN_STATE,
    ) -> None:
        """Record that a worker is alive, and how its machine is."""
        values: Mapping[str, Any] = {  # Any: column values
            "host": worker.host,
            "kinds": ",".join(sorted(kinds)),
            "device": worker.device,
            "device_name": device_name,
            "version": version,
            "last_heartbeat_at": database_now(),
            **state.columns,
        }
        if not self._changed(update(WorkerRow).where(WorkerRow.id == worker.id).values(**values)):
            self._session.execute(insert(WorkerRow).values(id=worker.id, started_at=database_now(), **values))

    def remove_worker(self, worker_id: str) -> None:
        """Delete a worker that has shut down."""
        self._session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))

    def forget_workers(self, silent_for_s: float) -> None:
        """Delete workers whose last heartbeat is long ago."""
        self._session.execute(delete(WorkerRow).where(WorkerRow.last_heartbeat_at < database_now(-silent_for_s)))

    def _open_attempt(self, claim: Claim, worker: Worker) -> None:
        attempt_id = new_id()
        self._session.execute(
            insert(JobAttemptRow).values(
                id=attempt_id,
                job_id=claim.job_id,
                number=claim.attempt,
                worker_id=worker.id,
                host=worker.host,
                device=worker.device,
                started_at=database_now(),
            )
        )
        note_devices(self._session, attempt_id, worker, claim.devices)

    def _state_after(self, job: JobRow, outcome: Outcome, failure: Failure) -> JobState:
        if job.desired == Desired.CANCEL:
            return self._end(job.id, JobState.CANCELLED)
        if job.desired == Desired.PAUSE:
            return self._release(job.id, JobState.PAUSED)
        # Paused, and resumed by its owner since: it continues like one whose worker shut down.
        if outcome in (Outcome.YIELDED, Outcome.PAUSED):
            return self._release(job.id, JobState.QUEUED, not_before=database_now())
        if outcome is Outcome.DEVICE_FAILED:
            return self._state_after_device_failure(job, failure)
        tries = job.no_progress + 1
        if tries >= self._timers.tries:
            return self._end(job.id, JobState.FAILED, failure, no_progress=tries)
        wait = self._timers.wait_after(tries)
        return self._release(job.id, JobState.QUEUED, no_progress=tries, not_before=database_now(wait))

    def _state_after_device_failure(self, job: JobRow, failure: Failure) -> JobState:
        """The device is quarantined (``note_device_failure``); a job on which every device breaks down has failed."""
        before = self._ended_in_a_row(job.id, lambda attempt: attempt.outcome == Outcome.DEVICE_FAILED)
        if before + 1 >= self._timers.device_tries:
            return self._end(job.id, JobState.FAILED, failure)
        return self._release(job.id, JobState.QUEUED, not_before=database_now())

    def _release(self, job_id: str, state: JobState, **changes: Any) -> JobState:  # Any: column values
        return self._leave(job_id, state, last_notified_at=None, **changes)

    def _end(self, job_id: str, state: JobState, failure: Failure | None = None, **changes: Any) -> JobState:
        if failure:
            changes |= _error(failure)
        return self._leave(job_id, state, ended_at=database_now(), **changes)

    def _leave(self, job_id: str, state: JobState, **changes: Any) -> JobState:  # Any: column values
        before = JobState(self._job(job_id).state)
        assert before.may_become(state), f"{before} -> {state}"
        # The lease's end stays: until then the sweep leaves the attempt to its worker (``close_orphaned_attempts``).
        self._session.execute(
            update(JobRow).where(JobRow.id == job_id).values(state=state, lease_owner=None, **changes)
        )
        return state

    def _job(self, job_id: str) -> JobRow:
        return self._session.get_one(JobRow, job_id, populate_existing=True)

    def _changed(self, statement: Any) -> bool:  # Any: an UPDATE
        return self._count(statement) > 0

    def _count(self, statement: Any) -> int:  # Any: an UPDATE
        result = self._session.execute(statement, execution_options=_PLAIN)
        assert isinstance(result, CursorResult)
        return result.rowcount


def _error(failure: Failure) -> dict[str, str]:
    return {"error_code": failure.code, "error_message": failure.message, "error_advice": failure.advice}
