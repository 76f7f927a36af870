"""Work with a finished model in the background: asked for once, done by a worker, and looked up by pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.db.base import utc_now
from backend.db.session import WriteSession
from backend.domain.json import Json
from backend.domain.runs import CheckpointNotFound
from backend.ledger.job import Claim, JobKind, JobState
from backend.ledger.repository import Ledger
from backend.ledger.unit_of_work import UnitOfWork
from backend.training.checkpoint_jobs.repository import CheckpointJobRepository

_AGAIN_AFTER: Final = timedelta(minutes=10)
"""What failed is tried again by the next who asks, but not by every page that is open meanwhile."""


@dataclass(frozen=True, slots=True)
class CheckpointJob:
    """How far the work is, and what it found.

    Attributes:
        done, total: pictures, or trainings of a head; ``total`` is 0 before it is known.
        was_interrupted: whether it was begun again or goes on after a training or a restart.
        found: the result, where it is kept with the job; an earlier one while another is under way.
        failed: why it ended without a result, for people; empty where it didn't.
        may_retry: whether it is worth while to ask again.
    """

    job_id: str
    state: JobState
    done: int
    total: int
    was_interrupted: bool
    found: Mapping[str, Json] | None
    failed: str = ""
    may_retry: bool = False

    @property
    def is_over(self) -> bool:
        """Whether no worker goes on with it."""
        return self.state.is_final

    @property
    def is_waiting(self) -> bool:
        """Whether no worker is at it now."""
        return self.state in (JobState.QUEUED, JobState.PAUSED)

    @property
    def is_wanted(self) -> bool:
        """Whether it goes on to its end, or has come there."""
        return self.state not in (JobState.CANCELLED, JobState.STOPPING, JobState.FAILED)


def checkpoint_job(session: Session, checkpoint_id: str, kind: JobKind) -> CheckpointJob | None:
    """A checkpoint's job of a kind; None where nobody has asked for it."""
    found = CheckpointJobRepository(session).find(checkpoint_id, kind)
    if found is None:
        return None
    row, job = found
    failed = f"{job.error_message} {job.error_advice}".strip() if job.state == JobState.FAILED else ""
    return CheckpointJob(
        job.id,
        JobState(job.state),
        row.done,
        row.total,
        job.attempt > 1 or (job.attempt == 1 and job.state == JobState.QUEUED),
        row.found,
        failed,
        may_retry=job.ended_at is not None and utc_now() - job.ended_at > _AGAIN_AFTER,
    )


def want(unit: UnitOfWork, checkpoint_id: str, kind: JobKind, *, anew: bool = False) -> bool:
    """Queue a job, unless one is on its way or has been done; whether one was queued.

    Args:
        anew: also where one has been done, or has failed just now.

    Raises:
        CheckpointNotFound
    """
    repository = CheckpointJobRepository(unit.session)
    known = checkpoint_job(unit.session, checkpoint_id, kind)
    if known is None:
        if not repository.has_checkpoint(checkpoint_id):
            raise CheckpointNotFound(checkpoint_id)
        return _is_first(unit, checkpoint_id, kind)
    if not (anew or known.may_retry) or (known.is_wanted and not known.is_over):
        return False
    if known.state is JobState.SUCCEEDED and not anew:
        return False
    state = repository.lock(known.job_id)
    found = repository.find(checkpoint_id, kind)
    # Another may have queued one while this one waited for the lock.
    if found is None or found[0].job_id != known.job_id or not (state.is_final or state is JobState.STOPPING):
        return False
    repository.renew(found[0], unit.enqueue(kind, checkpoint_id))
    return True


def want_first(session: WriteSession, checkpoint_id: str, kind: JobKind) -> None:
    """The same for a worker, which looks at the ledger next anyway and needs no notification."""
    want(UnitOfWork(session), checkpoint_id, kind)


def cancel(session: WriteSession, checkpoint_id: str, kind: JobKind) -> None:
    """Nobody wants the job any more; what was found before is kept."""
    known = checkpoint_job(session, checkpoint_id, kind)
    if known is not None and not known.is_over:
        Ledger(session).cancel(known.job_id)


def show(session: WriteSession, claim: Claim, done: int, total: int) -> None:
    """Write down how far an attempt is, which is a sign of progress.

    Raises:
        LostLease: another attempt has the job.
    """
    Ledger(session).progressed(claim.job_id, claim.attempt)
    CheckpointJobRepository(session).show(claim.job_id, done, total)


def finish(session: WriteSession, claim: Claim, found: Mapping[str, Json] | None) -> None:
    """The job is done.

    Raises:
        LostLease: as ``show`` does.
    """
    Ledger(session).finish(claim.job_id, claim.attempt)
    if found is not None:
        CheckpointJobRepository(session).keep(claim.job_id, found)


def _is_first(unit: UnitOfWork, checkpoint_id: str, kind: JobKind) -> bool:
    try:
        with unit.session.begin_nested():
            CheckpointJobRepository(unit.session).add(checkpoint_id, kind, unit.enqueue(kind, checkpoint_id))
    except IntegrityError:  # somebody else was first
        return False
    return True
