"""Counts over the tables of all features; nothing here changes a row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from backend.ledger.clock import database_now
from backend.ledger.job import JobKind, JobState
from backend.tables.ledger import JobRow, WorkerRow
from backend.tables.training import EpochRow, LearningRateFindRow


@dataclass(frozen=True, slots=True)
class Waiting:
    """Jobs of one kind that nobody has taken yet."""

    jobs: int
    oldest_s: float


class SystemRepository:
    """Counts for pages, programs and Prometheus."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def answer(self) -> None:
        """Nothing, if the database answers."""
        self._session.execute(text("SELECT 1"))

    def now(self) -> datetime:
        """The database's time, by which workers report."""
        found = self._session.scalar(select(database_now()))
        assert isinstance(found, datetime)
        return found

    def workers(self, within_s: float) -> Sequence[WorkerRow]:
        """Workers that reported within so many seconds, by id."""
        query = select(WorkerRow).where(WorkerRow.last_heartbeat_at > database_now(-within_s))
        return self._session.scalars(query.order_by(WorkerRow.id)).all()

    def waiting(self) -> dict[JobKind, Waiting]:
        """Queued jobs by kind; every kind is named."""
        now = self.now()
        query = select(JobRow.kind, func.count(), func.min(JobRow.created_at))
        rows = self._session.execute(query.where(JobRow.state == JobState.QUEUED).group_by(JobRow.kind))
        found = {JobKind(kind): Waiting(jobs, max(0.0, (now - oldest).total_seconds())) for kind, jobs, oldest in rows}
        return {kind: found.get(kind, Waiting(0, 0.0)) for kind in JobKind}

    def runs_by_state(self) -> dict[JobState, int]:
        """Number of runs in each state; every state is named."""
        # Searches for a learning rate are jobs of the same kind.
        is_run = JobRow.id.not_in(select(LearningRateFindRow.job_id))
        query = select(JobRow.state, func.count()).where(JobRow.kind == JobKind.TRAIN, is_run).group_by(JobRow.state)
        found = {JobState(state): number for state, number in self._session.execute(query)}
        return {state: found.get(state, 0) for state in JobState}

    def epochs(self) -> tuple[int, float]:
        """Number of epochs trained, and the seconds they took together."""
        query = select(func.count(), func.coalesce(func.sum(EpochRow.duration_s), 0.0))
        number, seconds = self._session.execute(query).one()
        return number, float(seconds)
