"""Ask for a look at a dataset's new pictures; whoever adds pictures does."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backend.ledger.job import JobKind, JobState
from backend.ledger.unit_of_work import UnitOfWork
from backend.tables.examination import ExaminationRow
from backend.tables.ledger import JobRow

_OVER: Final = frozenset({state for state in JobState if state.is_final} | {JobState.STOPPING})
"""States in which a job looks at nothing any more: it has ended, or was cancelled and is about to."""


def want_examination(unit: UnitOfWork, dataset_id: str) -> None:
    """Queue a job that looks at the pictures which nobody has looked at yet, unless one will do so anyway.

    To be called in a transaction after the one that recorded the pictures: a job that is under way looks for new
    pictures before it ends, and ends only when this transaction is over.
    """
    session = unit.session
    while True:
        row = session.get(ExaminationRow, dataset_id, populate_existing=True)
        if row is None:
            # Where there is none even so, the dataset itself has gone.
            if _is_first(unit, dataset_id) or session.get(ExaminationRow, dataset_id) is None:
                return
        elif _locked_state(session, (job_id := row.job_id)) not in _OVER:
            unit.notify_for(JobKind.EXAMINE)
            return
        else:
            # Another may have queued one while this one waited for the lock.
            session.refresh(row)
            if row.job_id == job_id:
                row.job_id = unit.enqueue(JobKind.EXAMINE, dataset_id)
                return


def _is_first(unit: UnitOfWork, dataset_id: str) -> bool:
    """Queue the first examination of a dataset; whether nobody else has done so meanwhile."""
    try:
        with unit.session.begin_nested():
            job_id = unit.enqueue(JobKind.EXAMINE, dataset_id)
            unit.session.add(ExaminationRow(dataset_id=dataset_id, job_id=job_id))
    except IntegrityError:
        return False
    return True


def _locked_state(session: Session, job_id: str) -> JobState:
    """A job's state; whoever ends the job waits for the end of this transaction, or this one has waited for it."""
    return JobState(session.scalars(select(JobRow.state).where(JobRow.id == job_id).with_for_update()).one())
