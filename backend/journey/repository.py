"""Reads how far a dataset has come along the six steps; writes nothing."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.domain.ids import DatasetId
from backend.ledger.job import JobState
from backend.tables.datasets import DatasetRow, VersionRow
from backend.tables.ledger import JobRow
from backend.tables.training import CheckpointRow, RunRow

_STAGES = 20
"""As many stages as a run may have."""


@dataclass(frozen=True, slots=True)
class RunStand:
    """The newest run of a dataset, as far as the steps need it."""

    id: str
    status: str

    @property
    def is_active(self) -> bool:
        """Whether it may still change by itself."""
        return self.status in ("queued", "running", "paused")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a dataset has come."""

    dataset_id: str
    images: int
    version_id: str | None = None
    version: int | None = None
    run: RunStand | None = None
    trained: str | None = None
    """The newest run that succeeded."""
    checkpoint_id: str | None = None
    """The best checkpoint of the newest run that has one."""


class ProgressRepository:
    """How far datasets have come."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of(self, dataset_id: DatasetId) -> Progress:
        """Where one dataset stands; an unknown one has nothing."""
        images = self._session.scalar(select(DatasetRow.images).where(DatasetRow.id == dataset_id)) or 0
        version = self._session.scalars(
            select(VersionRow).where(VersionRow.dataset_id == dataset_id).order_by(VersionRow.number.desc()).limit(1)
        ).first()
        if version is None:
            return Progress(dataset_id, images)
        runs = self._runs(dataset_id)
        trained = next((run.id for run in runs if run.status == "succeeded"), None)
        return Progress(
            dataset_id,
            images,
            version.id,
            version.number,
            runs[0] if runs else None,
            trained,
            self._model_at_hand(dataset_id),
        )

    def _runs(self, dataset_id: DatasetId) -> list[RunStand]:
        rows = self._session.execute(
            select(RunRow.id, JobRow.state)
            .join(JobRow, JobRow.id == RunRow.job_id)
            .join(VersionRow, VersionRow.id == RunRow.version_id)
            .where(VersionRow.dataset_id == dataset_id)
            .order_by(RunRow.id.desc())
            .limit(100)
        )
        return [RunStand(run_id, status_of(JobState(state))) for run_id, state in rows]

    def _model_at_hand(self, dataset_id: DatasetId) -> str | None:
        """The best model of the newest run that has one; the earlier of equals."""
        query = (
            select(CheckpointRow.run_id, CheckpointRow.id, CheckpointRow.metrics)
            .join(RunRow, RunRow.id == CheckpointRow.run_id)
            .join(VersionRow, VersionRow.id == RunRow.version_id)
            .where(VersionRow.dataset_id == dataset_id)
            .order_by(RunRow.id.desc(), CheckpointRow.stage)
            .limit(_STAGES)
        )
        rows = self._session.execute(query).all()
        mine = [(metrics["valid"]["error_rate"], found) for run_id, found, metrics in rows if run_id == rows[0][0]]
        return min(mine, key=lambda model: model[0])[1] if mine else None


def status_of(state: JobState) -> str:
    """A run's status in the contract's words."""
    if state.is_claimed:
        return JobState.RUNNING.value
    return state.value
