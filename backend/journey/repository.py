"""Reads how far a dataset has come along the six steps; writes nothing."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.domain.ids import DatasetId
from backend.domain.results import rank_of
from backend.ledger.job import JobState
from backend.tables.datasets import DatasetRow, VersionRow
from backend.tables.ledger import JobRow
from backend.tables.training import CheckpointRow, RunRow

_STAGES = 20
"""As many stages as a run may have."""
_RUNS = 100
"""How far back the newest runs are looked through."""


@dataclass(frozen=True, slots=True)
class RunStand:
    """A run of a dataset, as far as the steps need it; ``version`` is the number of the version it trains on."""

    id: str
    status: str
    version: int

    @property
    def is_active(self) -> bool:
        """Whether it may still change by itself."""
        return self.status in ("queued", "running", "paused")


@dataclass(frozen=True, slots=True)
class ModelStand:
    """The model that the last step offers."""

    id: str
    version: int
    run_id: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a dataset has come.

    Attributes:
        version_id, version: the newest version.
        run: the newest run of that version.
        active_run: the newest run that may still change by itself, of whichever version.
        trained: the newest run that succeeded: of the newest version where there is one, else of an earlier one.
        model: the best checkpoint of the newest run that has one, in the same order.
    """

    dataset_id: str
    images: int
    version_id: str | None = None
    version: int | None = None
    run: RunStand | None = None
    active_run: RunStand | None = None
    trained: RunStand | None = None
    model: ModelStand | None = None


class ProgressRepository:
    """How far datasets have come."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of(self, dataset_id: DatasetId) -> Progress:
        """How far one dataset has come; an unknown one has nothing."""
        images = self._session.scalar(select(DatasetRow.images).where(DatasetRow.id == dataset_id)) or 0
        version = self._session.scalars(
            select(VersionRow).where(VersionRow.dataset_id == dataset_id).order_by(VersionRow.number.desc()).limit(1)
        ).first()
        if version is None:
            return Progress(dataset_id, images)
        runs = self._runs(dataset_id)
        return Progress(
            dataset_id,
            images,
            version.id,
            version.number,
            run=next((run for run in runs if run.version == version.number), None),
            active_run=next((run for run in runs if run.is_active), None),
            trained=next((run for run in runs if run.status == "succeeded"), None),
            model=self._model(dataset_id),
        )

    def _runs(self, dataset_id: DatasetId) -> list[RunStand]:
        rows = self._session.execute(
            select(RunRow.id, JobRow.state, VersionRow.number)
            .join(JobRow, JobRow.id == RunRow.job_id)
            .join(VersionRow, VersionRow.id == RunRow.version_id)
            .where(VersionRow.dataset_id == dataset_id)
            .order_by(VersionRow.number.desc(), RunRow.id.desc())
            .limit(_RUNS)
        )
        return [RunStand(run_id, status_of(JobState(state)), version) for run_id, state, version in rows]

    def _model(self, dataset_id: DatasetId) -> ModelStand | None:
        """The best model of the newest run that has one."""
        query = (
            select(CheckpointRow.run_id, CheckpointRow.id, CheckpointRow.metrics, VersionRow.number)
            .join(RunRow, RunRow.id == CheckpointRow.run_id)
            .join(VersionRow, VersionRow.id == RunRow.version_id)
            .where(VersionRow.dataset_id == dataset_id)
            .order_by(VersionRow.number.desc(), RunRow.id.desc(), CheckpointRow.stage)
            .limit(_STAGES)
        )
        rows = self._session.execute(query).all()
        mine = [
            (rank_of(metrics["valid"]), ModelStand(found, version, run_id))
            for run_id, found, metrics, version in rows
            if run_id == rows[0][0]
        ]
        return min(mine, key=lambda model: model[0])[1] if mine else None


def status_of(state: JobState) -> str:
    """A run's status in the contract's words."""
    if state.is_claimed:
        return JobState.RUNNING.value
    return state.value
