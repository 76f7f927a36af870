"""All SQL over lines of trainings: which run goes on from which model."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from backend.tables.datasets import VersionRow
from backend.tables.ledger import JobRow
from backend.tables.training import CheckpointRow, LearningRateFindRow, RunRow


@dataclass(frozen=True, slots=True)
class Origin:
    """A model and the run that made it."""

    checkpoint: CheckpointRow
    run: RunRow


class LineageRepository:
    """Runs, models and searches by what they go on from."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def origin(self, checkpoint_id: str) -> Origin | None:
        """A model with its run; None where it is gone."""
        query = select(CheckpointRow, RunRow).join(RunRow, RunRow.id == CheckpointRow.run_id)
        found = self._session.execute(query.where(CheckpointRow.id == checkpoint_id)).one_or_none()
        return None if found is None else Origin(*found)

    def stages_before(self, origin: Origin) -> list[CheckpointRow]:
        """The models of a run up to and with one of them, first stage first."""
        query = (
            select(CheckpointRow)
            .where(CheckpointRow.run_id == origin.run.id, CheckpointRow.stage <= origin.checkpoint.stage)
            .order_by(CheckpointRow.stage)
        )
        return list(self._session.scalars(query))

    def later_runs(self, checkpoint_ids: Iterable[str], limit: int) -> list[tuple[RunRow, JobRow]]:
        """Runs that go on from one of these models, the newest first."""
        query = select(RunRow, JobRow).join(JobRow, JobRow.id == RunRow.job_id)
        mine = query.where(RunRow.starts_from.in_(list(checkpoint_ids))).order_by(RunRow.id.desc()).limit(limit)
        return [(run, job) for run, job in self._session.execute(mine)]

    def finds(self, run_id: str, checkpoint_ids: Iterable[str], limit: int) -> list[tuple[LearningRateFindRow, JobRow]]:
        """Searches for a rate beside a run or from one of its models, the oldest first."""
        row = LearningRateFindRow
        query = select(row, JobRow).join(JobRow, JobRow.id == row.job_id)
        mine = query.where(or_(row.run_id == run_id, row.starts_from.in_(list(checkpoint_ids))))
        return [(find, job) for find, job in self._session.execute(mine.order_by(row.id).limit(limit))]

    def models_of_dataset(self, dataset_id: str, limit: int) -> list[Origin]:
        """Models of all runs on any version of a dataset, the newest first."""
        query = (
            select(CheckpointRow, RunRow)
            .join(RunRow, RunRow.id == CheckpointRow.run_id)
            .join(VersionRow, VersionRow.id == RunRow.version_id)
            .where(VersionRow.dataset_id == dataset_id)
            .order_by(CheckpointRow.id.desc())
            .limit(limit)
        )
        return [Origin(*row) for row in self._session.execute(query)]

    def runs_of_dataset(self, dataset_id: str, limit: int) -> list[RunRow]:
        """Runs on any version of a dataset, the newest first."""
        query = select(RunRow).join(VersionRow, VersionRow.id == RunRow.version_id)
        mine = query.where(VersionRow.dataset_id == dataset_id).order_by(RunRow.id.desc()).limit(limit)
        return list(self._session.scalars(mine))
