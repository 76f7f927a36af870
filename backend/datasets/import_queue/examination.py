"""Ask for a look at a dataset's new pictures; whoever adds pictures does."""

from typing import Final

from sqlalchemy import select
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
    row = unit.session.get(ExaminationRow, dataset_id)
    if row is None:
        unit.session.add(ExaminationRow(dataset_id=dataset_id, job_id=unit.enqueue(JobKind.EXAMINE, dataset_id)))
    elif _locked_state(unit.session, row.job_id) in _OVER:
        row.job_id = unit.enqueue(JobKind.EXAMINE, dataset_id)
    else:
        unit.notify_for(JobKind.EXAMINE)


def _locked_state(session: Session, job_id: str) -> JobState:
    """A job's state; whoever ends the job waits for the end of this transaction, or this one has waited for it."""
    return JobState(session.scalars(select(JobRow.state).where(JobRow.id == job_id).with_for_update()).one())
