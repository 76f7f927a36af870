"""All SQL over runs and what they leave behind."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from backend.domain.ids import CheckpointId, RunId, VersionId, new_id
from backend.domain.json import Json
from backend.ledger.clock import database_now
from backend.ledger.job import CLAIMED, Claim, JobKind, JobState
from backend.tables.datasets import DatasetRow, VersionRow
from backend.tables.examination import ExaminationRow
from backend.tables.ledger import JobRow
from backend.tables.training import CheckpointRow, EpochRow, LearningRateFindRow, RunEventRow, RunRow, StatePointRow
from backend.training.checkpoint_jobs.repository import jobs_of_runs

_CURVE_POINTS: Final = 2000
_OPEN: Final = [state for state in JobState if not state.is_final]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run with the job whose state is its own, and where it comes from."""

    run: RunRow
    job: JobRow
    dataset_id: str
    dataset_name: str
    version_number: int

    @property
    def config(self) -> dict[str, Json]:
        """The settings of the run."""
        return self.run.config

    @property
    def starts_from(self) -> str | None:
        """The checkpoint that the run starts from."""
        return self.run.starts_from


class RunRepository:
    """Runs, their epochs, events, states and checkpoints."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, run_id: RunId) -> RunRow | None:
        """A run on a dataset that isn't deleted."""
        return self._session.scalar(select(RunRow).where(RunRow.id == run_id, _is_visible()))

    def record(self, run_id: str) -> RunRecord | None:
        """A run with its job and origin."""
        found = self._session.execute(_records().where(RunRow.id == run_id)).one_or_none()
        return None if found is None else RunRecord(*found)

    def records(
        self,
        *,
        limit: int,
        after: str | None = None,
        version_id: str | None = None,
        dataset_id: str | None = None,
        states: Iterable[JobState] | None = None,
    ) -> list[RunRecord]:
        """Runs, the newest first."""
        query = _records().order_by(RunRow.id.desc()).limit(limit)
        if after is not None:
            query = query.where(RunRow.id < after)
        if version_id is not None:
            query = query.where(RunRow.version_id == version_id)
        if dataset_id is not None:
            query = query.where(DatasetRow.id == dataset_id)
        if states is not None:
            query = query.where(JobRow.state.in_(list(states)))
        return [RunRecord(*row) for row in self._session.execute(query)]

    def runs_of_dataset(self, dataset_id: str) -> int:
        """How many runs there have been on any version of a dataset."""
        query = select(func.count()).select_from(RunRow).join(VersionRow, VersionRow.id == RunRow.version_id)
        return self._session.execute(query.where(VersionRow.dataset_id == dataset_id)).scalar_one()

    def before(self, run_ids: Iterable[str]) -> dict[str, RunRecord]:
        """By run, the run that was started before it on any version of its dataset; of none where it was the first."""
        previous = func.lag(RunRow.id).over(partition_by=VersionRow.dataset_id, order_by=RunRow.id)
        pairs = (
            select(RunRow.id.label("run_id"), previous.label("before_id"))
            .join(VersionRow, VersionRow.id == RunRow.version_id)
            .subquery()
        )
        query = _records().join(pairs, pairs.c.before_id == RunRow.id).where(pairs.c.run_id.in_(list(run_ids)))
        rows = self._session.execute(query.add_columns(pairs.c.run_id))
        return {row[-1]: RunRecord(*row[:-1]) for row in rows}

    def datasets(self) -> list[tuple[str, str]]:
        """(id, name) of datasets on which anything was trained, by name."""
        query = (
            select(DatasetRow.id, DatasetRow.name)
            .where(
                DatasetRow.id.in_(select(VersionRow.dataset_id).join(RunRow, RunRow.version_id == VersionRow.id)),
                ~DatasetRow.is_being_deleted,
            )
            .order_by(func.lower(DatasetRow.name), DatasetRow.id)
        )
        return [(row.id, row.name) for row in self._session.execute(query)]

    def starting_from(self, checkpoint_ids: Iterable[str]) -> list[tuple[RunRow, JobRow]]:
        """Runs that start from one of these checkpoints, with their jobs."""
        query = select(RunRow, JobRow).join(JobRow, JobRow.id == RunRow.job_id)
        rows = self._session.execute(query.where(RunRow.starts_from.in_(list(checkpoint_ids))).order_by(RunRow.id))
        return [(run, job) for run, job in rows]

    def has_open_search(self, run_id: str, checkpoint_ids: Iterable[str]) -> bool:
        """Whether a search for a learning rate beside a run, or from one of these checkpoints, hasn't ended."""
        row = LearningRateFindRow
        mine = or_(row.run_id == run_id, row.starts_from.in_(list(checkpoint_ids)))
        query = select(row.id).join(JobRow, JobRow.id == row.job_id).where(mine, JobRow.state.in_(_OPEN)).limit(1)
        return self._session.scalar(query) is not None

    def remove(self, run_ids: Sequence[str]) -> list[str]:
        """Delete runs; the names of their checkpoints' folders, to be deleted after the commit."""
        folders = list(self._session.scalars(select(CheckpointRow.folder).where(CheckpointRow.run_id.in_(run_ids))))
        jobs = [
            *self._session.scalars(select(RunRow.job_id).where(RunRow.id.in_(run_ids))),
            *self._session.scalars(select(LearningRateFindRow.job_id).where(LearningRateFindRow.run_id.in_(run_ids))),
            *jobs_of_runs(self._session, run_ids),
        ]
        # Epochs, events, states, checkpoints, predictions and searches go with their run.
        self._session.execute(delete(RunRow).where(RunRow.id.in_(run_ids)))
        self._session.execute(delete(JobRow).where(JobRow.id.in_(jobs)))
        return folders

    def add(self, run: RunRow) -> None:
        """A new run."""
        self._session.add(run)
        self._session.flush()

    def show(self, run_id: str, **values: Any) -> None:  # Any: column values
        """Write what is displayed of a run."""
        self._session.execute(update(RunRow).where(RunRow.id == run_id).values(**values))

    def show_of_attempt(self, claim: Claim, **values: Any) -> None:  # Any: column values
        """The same, as long as the attempt still has the job."""
        holds = exists().where(JobRow.id == claim.job_id, JobRow.attempt == claim.attempt, JobRow.state.in_(CLAIMED))
        self._session.execute(update(RunRow).where(RunRow.id == claim.subject_id, holds).values(**values))

    def version(self, version_id: VersionId) -> VersionRow | None:
        """The version that a run is to learn from, of a dataset that isn't deleted; read once in a session."""
        known: dict[str, VersionRow | None] = self._session.info.setdefault("versions of runs", {})
        if version_id not in known:
            query = select(VersionRow).join(DatasetRow, DatasetRow.id == VersionRow.dataset_id)
            known[version_id] = self._session.scalar(
                query.where(VersionRow.id == version_id, ~DatasetRow.is_being_deleted)
            )
        return known[version_id]

    def dataset_name(self, dataset_id: str) -> str:
        """Name of the dataset that a version belongs to."""
        return self._session.scalars(select(DatasetRow.name).where(DatasetRow.id == dataset_id)).one()

    def epochs(self, run_id: str, *, limit: int | None = None, after: str | None = None) -> Sequence[EpochRow]:
        """The course's table, first to last."""
        query = select(EpochRow).where(EpochRow.run_id == run_id).order_by(EpochRow.stage, EpochRow.epoch)
        if after is not None:
            query = query.where(EpochRow.id > after)
        return self._session.scalars(query.limit(limit)).all()

    def has_epoch(self, run_id: str, stage: int, epoch: int) -> bool:
        """Whether this row of the table has been written."""
        query = select(EpochRow.id).where(EpochRow.run_id == run_id, EpochRow.stage == stage, EpochRow.epoch == epoch)
        return self._session.scalar(query) is not None

    def add_epoch(self, row: EpochRow) -> None:
        """One more row of the table."""
        self._session.add(row)
        self._session.flush()

    def add_events(self, run_id: str, events: Iterable[tuple[str, dict[str, Json]]]) -> None:
        """Number and keep what happened, in order."""
        rows = [{"run_id": run_id, "kind": kind, "data": data} for kind, data in events]
        if rows:
            # One by one: the numbers must follow the order, which a statement of many rows doesn't promise.
            for row in rows:
                self._session.execute(insert(RunEventRow).values(**row))

    def events(self, run_id: str, after: int, limit: int) -> Sequence[RunEventRow]:
        """What happened after event number ``after``."""
        query = select(RunEventRow).where(RunEventRow.run_id == run_id, RunEventRow.id > after)
        return self._session.scalars(query.order_by(RunEventRow.id).limit(limit)).all()

    def log(self, run_id: str, kinds: Iterable[str], limit: int) -> Sequence[RunEventRow]:
        """The newest events of some kinds, the newest first."""
        query = select(RunEventRow).where(RunEventRow.run_id == run_id, RunEventRow.kind.in_(list(kinds)))
        return self._session.scalars(query.order_by(RunEventRow.id.desc()).limit(limit)).all()

    def rates_found(self, run_ids: Iterable[str]) -> dict[str, dict[int, Any]]:  # Any: a rate, or two
        """What searches before stages have found, by run and stage; of several the last counts."""
        query = select(RunEventRow.run_id, RunEventRow.data).where(
            RunEventRow.run_id.in_(list(run_ids)), RunEventRow.kind == "rate-found"
        )
        found: dict[str, dict[int, Any]] = {}
        for run_id, data in self._session.execute(query.order_by(RunEventRow.id)):
            found.setdefault(run_id, {})[data["stage"]] = data["max_lr"]
        return found

    def newest_event(self, run_id: str) -> int:
        """Number of the newest event; 0 before the first."""
        return self._session.scalar(select(func.max(RunEventRow.id)).where(RunEventRow.run_id == run_id)) or 0

    def newest_steps(self, run_id: str) -> Mapping[str, Json] | None:
        """The newest event of training steps; None before the first."""
        query = select(RunEventRow.data).where(RunEventRow.run_id == run_id, RunEventRow.kind == "steps")
        return self._session.scalar(query.order_by(RunEventRow.id.desc()).limit(1))

    def curve(self, run_id: str) -> list[dict[str, Json]]:
        """Events of training steps, first to last; thinned where they are very many."""
        mine = (RunEventRow.run_id == run_id, RunEventRow.kind == "steps")
        count = self._session.execute(select(func.count()).select_from(RunEventRow).where(*mine)).scalar_one()
        every = 1 + count // _CURVE_POINTS
        query = select(RunEventRow.data).where(*mine, RunEventRow.id % every == 0).order_by(RunEventRow.id)
        return list(self._session.scalars(query))

    def put_state(self, row: StatePointRow) -> None:
        """Keep a point to go on from; of several at the same place the last one written counts."""
        self._session.execute(
            delete(StatePointRow).where(
                StatePointRow.run_id == row.run_id,
                StatePointRow.stage == row.stage,
                StatePointRow.epoch == row.epoch,
                StatePointRow.step == row.step,
            )
        )
        self._session.add(row)
        self._session.flush()

    def states(self, run_id: str, limit: int) -> Sequence[StatePointRow]:
        """Points to go on from, the newest first: the last written, not the furthest, as a training may go back."""
        query = select(StatePointRow).where(StatePointRow.run_id == run_id)
        return self._session.scalars(query.order_by(StatePointRow.id.desc()).limit(limit)).all()

    def forget_states(self, run_id: str, keep: int) -> None:
        """Drop all but the newest points."""
        kept = [row.id for row in self.states(run_id, keep)]
        self._session.execute(
            delete(StatePointRow).where(StatePointRow.run_id == run_id, StatePointRow.id.not_in(kept))
        )

    def ended(self, subject_ids: Iterable[str]) -> set[str]:
        """Which of these are nothing that a job may still work on: it has ended, or there is none."""
        asked = set(subject_ids)
        active = [state for state in JobState if not state.is_final]
        query = select(JobRow.subject_id).where(JobRow.subject_id.in_(asked), JobRow.state.in_(active))
        return asked - set(self._session.scalars(query))

    def folders_of_nobody(self, folders: Iterable[str]) -> set[str]:
        """Which of these are no checkpoint's folder."""
        asked = set(folders)
        return asked - set(self._session.scalars(select(CheckpointRow.folder).where(CheckpointRow.folder.in_(asked))))

    def find_checkpoint(self, checkpoint_id: CheckpointId) -> CheckpointRow | None:
        """A checkpoint of a run on a dataset that isn't deleted."""
        query = select(CheckpointRow).join(RunRow, RunRow.id == CheckpointRow.run_id)
        return self._session.scalar(query.where(CheckpointRow.id == checkpoint_id, _is_visible()))

    def checkpoints(self, run_ids: Iterable[str]) -> dict[str, list[CheckpointRow]]:
        """Checkpoints by run, first stage first."""
        query = select(CheckpointRow).where(CheckpointRow.run_id.in_(list(run_ids)))
        found: dict[str, list[CheckpointRow]] = {}
        for row in self._session.scalars(query.order_by(CheckpointRow.stage)):
            found.setdefault(row.run_id, []).append(row)
        return found

    def checkpoint_of(self, run_id: str, stage: int) -> CheckpointRow | None:
        """The checkpoint that a stage left."""
        query = select(CheckpointRow).where(CheckpointRow.run_id == run_id, CheckpointRow.stage == stage)
        return self._session.scalar(query)

    def add_checkpoint(self, row: CheckpointRow) -> None:
        """A finished stage."""
        self._session.add(row)
        self._session.flush()

    def prepared(self, version_id: str, limit: int = 50) -> tuple[bool, Sequence[Mapping[str, Json]]]:
        """Whether every picture of a version was examined, and configs of the latest runs on it that came to their end.

        Only of runs that began with pretrained weights. What either computed of frozen layers is on disk.
        """
        finished = select(JobRow.id).where(JobRow.state == JobState.SUCCEEDED)
        is_examined = ExaminationRow.images_done >= ExaminationRow.images_total
        of_version = and_(RunRow.version_id == VersionRow.id, RunRow.starts_from.is_(None), RunRow.job_id.in_(finished))
        query = (
            select(ExaminationRow.features, RunRow.config)
            .select_from(VersionRow)
            .outerjoin(ExaminationRow, and_(ExaminationRow.dataset_id == VersionRow.dataset_id, is_examined))
            .outerjoin(RunRow, of_version)
            .where(VersionRow.id == version_id)
        )
        rows = self._session.execute(query.order_by(RunRow.id.desc()).limit(limit)).all()
        return any(row.features for row in rows), [row.config for row in rows if row.config is not None]

    def has_download_failed(self, within_s: float = 86_400.0) -> bool:
        """Whether a training ended lately because pretrained weights could not be downloaded."""
        query = select(JobRow.id).where(
            JobRow.kind == JobKind.TRAIN,
            JobRow.state == JobState.FAILED,
            JobRow.error_code == "weights-unavailable",
            JobRow.ended_at > database_now(-within_s),
        )
        return self._session.scalar(query.limit(1)) is not None


def new_epoch(run_id: str, attempt: int, values: Mapping[str, Any]) -> EpochRow:  # Any: column values
    """A row of the course's table, not stored yet."""
    return EpochRow(id=new_id(), run_id=run_id, attempt=attempt, **values)


def _records() -> Select[RunRow, JobRow, str, str, int]:
    return (
        select(RunRow, JobRow, DatasetRow.id, DatasetRow.name, VersionRow.number)
        .join(JobRow, JobRow.id == RunRow.job_id)
        .join(VersionRow, VersionRow.id == RunRow.version_id)
        .join(DatasetRow, DatasetRow.id == VersionRow.dataset_id)
        .where(~DatasetRow.is_being_deleted)
    )


def _is_visible() -> ColumnElement[bool]:
    """Whether the run is on a dataset that isn't deleted, nor in the bin."""
    version = VersionRow.id == RunRow.version_id
    return exists().where(version, DatasetRow.id == VersionRow.dataset_id, ~DatasetRow.is_being_deleted)
