"""The queue: the order in which waiting jobs are taken, and what a job waits for.

Fair between people: who has the fewest jobs under way comes first, and everybody's
own jobs keep their order. So a person who orders a hundred trainings doesn't hold up the one
of another. The order in which jobs are taken and the positions that are shown are
the same expression.
"""

from typing import Final

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute as Column
from sqlalchemy.orm import aliased
from sqlalchemy.sql.selectable import ScalarSelect

from backend.ledger.clock import database_now
from backend.ledger.job import CLAIMED, JobKind, JobState, Worker
from backend.tables.ledger import AttemptDeviceRow, JobRow, WorkerRow

_CLAIMED: Final = tuple(CLAIMED)


def is_due() -> ColumnElement[bool]:
    """Whether the time of a job's next try has come."""
    return or_(JobRow.not_before.is_(None), JobRow.not_before <= database_now())


def is_ready(kind: JobKind, for_s: float = 0.0) -> ColumnElement[bool]:
    """Whether a job of that kind could have been taken at least ``for_s`` seconds ago."""
    return and_(
        JobRow.kind == kind,
        JobRow.state == JobState.QUEUED,
        or_(JobRow.not_before.is_(None), JobRow.not_before <= database_now(-for_s)),
    )


def suits(worker: Worker) -> ColumnElement[bool]:
    """Whether a worker has the device that a job asks for."""
    return JobRow.device.in_(worker.can_do)


def is_quarantined(host: str, device: str | None) -> ColumnElement[bool]:
    """Whether a device is to be left alone for a while."""
    return exists().where(
        WorkerRow.host == host, WorkerRow.device == device, WorkerRow.quarantined_until > database_now()
    )


def is_used(host: str | Column[str], device: str | Column[str | None]) -> ColumnElement[bool]:
    """Whether an attempt uses a device now."""
    return exists().where(
        AttemptDeviceRow.host == host, AttemptDeviceRow.device == device, AttemptDeviceRow.released_at.is_(None)
    )


def fair_rank() -> ScalarSelect[int]:
    """Rank of a waiting job: jobs that its owner has under way, plus its position among those that wait.

    Taking the lowest first changes no other rank, so the present ranks are the order in which all will be taken.
    """
    other = aliased(JobRow)
    comes_before = and_(
        other.state == JobState.QUEUED,
        or_(other.not_before.is_(None), other.not_before <= database_now()),
        other.id <= JobRow.id,
    )
    return (
        select(func.count())
        .select_from(other)
        .where(
            other.kind == JobRow.kind,
            func.coalesce(other.asked_by, "") == func.coalesce(JobRow.asked_by, ""),
            or_(other.state.in_(_CLAIMED), comes_before),
        )
        .correlate(JobRow)
        .scalar_subquery()
    )
