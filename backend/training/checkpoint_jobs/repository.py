"""All SQL over what is done with finished models in the background."""

from collections.abc import Collection, Mapping

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from backend.domain.json import Json
from backend.ledger.job import JobKind, JobState
from backend.tables.ledger import JobRow
from backend.tables.training import CheckpointJobRow, CheckpointRow


class CheckpointJobRepository:
    """Jobs of checkpoints, at most one of a kind."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, checkpoint_id: str, kind: JobKind) -> tuple[CheckpointJobRow, JobRow] | None:
        """A checkpoint's job of a kind, as it is now."""
        query = select(CheckpointJobRow, JobRow).join(JobRow, JobRow.id == CheckpointJobRow.job_id)
        mine = query.where(CheckpointJobRow.checkpoint_id == checkpoint_id, CheckpointJobRow.kind == kind)
        found = self._session.execute(mine, execution_options={"populate_existing": True}).one_or_none()
        return None if found is None else (found[0], found[1])

    def lock(self, job_id: str) -> JobState:
        """A job's state, which nobody changes before this transaction is over."""
        return JobState(self._session.scalars(select(JobRow.state).where(JobRow.id == job_id).with_for_update()).one())

    def has_checkpoint(self, checkpoint_id: str) -> bool:
        """Whether there is such a checkpoint (any more)."""
        return self._session.get(CheckpointRow, checkpoint_id) is not None

    def add(self, checkpoint_id: str, kind: JobKind, job_id: str) -> None:
        """The first job of its kind."""
        self._session.add(CheckpointJobRow(checkpoint_id=checkpoint_id, kind=kind, job_id=job_id))
        self._session.flush()

    def renew(self, row: CheckpointJobRow, job_id: str) -> None:
        """Another job in place of one that is over; what was found is kept until there is something newer."""
        row.job_id, row.done, row.total = job_id, 0, 0
        self._session.flush()

    def show(self, job_id: str, done: int, total: int) -> None:
        """How far a job is."""
        mine = update(CheckpointJobRow).where(CheckpointJobRow.job_id == job_id)
        self._session.execute(mine.values(done=done, total=total))

    def keep(self, job_id: str, found: Mapping[str, Json]) -> None:
        """What a job found out."""
        mine = update(CheckpointJobRow).where(CheckpointJobRow.job_id == job_id)
        self._session.execute(mine.values(found=dict(found)))


def jobs_of_runs(session: Session, run_ids: Collection[str]) -> list[str]:
    """Jobs of the checkpoints of runs, which are to be deleted with them."""
    query = select(CheckpointJobRow.job_id).join(CheckpointRow, CheckpointRow.id == CheckpointJobRow.checkpoint_id)
    return list(session.scalars(query.where(CheckpointRow.run_id.in_(run_ids))))
