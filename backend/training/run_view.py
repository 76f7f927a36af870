"""Runs as API, pages and streams show them: all from the same rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from backend.domain.json import Json
from backend.domain.runs import RunNotFound
from backend.domain.training import RunStatus
from backend.ledger.job import CLAIMED, Desired, Failure, JobKind, JobState
from backend.ledger.queries import Jobs
from backend.tables.training import CheckpointRow
from backend.training.queue import Waiting, WaitReasons
from backend.training.repository import RunRecord, RunRepository

ACTIVE = tuple(state for state in JobState if not state.is_final)
"""States of a job whose run may still change by itself or by a click."""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as it stands.

    Attributes:
        queue_position: 1 for the next one; None where it isn't waiting.
        retrain_of: the run that it repeats with corrected labels.
        waits_for: why it isn't running; None where it is, has ended, or is paused by its owner.
        rates_found: for each stage what a search before it has found: a rate, [lowest layers, head], or None.
        stage, epoch: from 0, of what is going on now; None before the first.
        epochs: of all stages together.
        activity: the part that is under way (``forecast.cursor.Activity``); None before the first.
        progress: share of its time in [0, 1]; 1 only once it has succeeded.
        is_stopping: it is to stop and hasn't yet.
        is_pausing: it is to pause, and saves its progress first.
        is_finishing: it ends after the epoch that is under way.
        rests_for: why it is paused until it continues by itself, in words; empty where its owner paused it.
    """

    id: str
    name: str
    status: RunStatus
    dataset_id: str
    dataset_name: str
    version_id: str
    version_number: int
    config: dict[str, Json]
    rates_found: tuple[Any, ...]
    starts_from: str | None
    retrain_of: str | None
    queue_position: int | None
    waits_for: Waiting | None
    phase: str | None
    activity: str | None
    stage: int | None
    epoch: int | None
    epochs: int
    progress: float
    eta_s: float | None
    device: str | None
    attempt: int
    is_stopping: bool
    is_pausing: bool
    is_finishing: bool
    rests_for: str
    failure: Failure | None
    checkpoints: tuple[CheckpointRow, ...]
    starred: bool
    note: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Pill:
    """What the frame of every page shows of the run that is running. ``queue``: its position in the queue."""

    run_id: str
    name: str
    dataset: str
    status: RunStatus
    progress: float
    eta_s: float | None
    queue: int | None


def status_of(state: JobState) -> RunStatus:
    """A run's status, from its job's state."""
    return RunStatus.RUNNING if state.is_claimed else RunStatus(state.value)


def states_of(status: RunStatus | None) -> list[JobState] | None:
    """The states of jobs whose runs have that status; None for any."""
    return None if status is None else [state for state in JobState if status_of(state) is status]


def show_run(session: Session, run_id: str) -> RunView:
    """A run as it stands.

    Raises:
        RunNotFound
    """
    record = RunRepository(session).record(run_id)
    if record is None:
        raise RunNotFound(run_id)
    return _views(session, [record])[0]


def list_runs(
    session: Session,
    *,
    limit: int = 100,
    after: str | None = None,
    version_id: str | None = None,
    dataset_id: str | None = None,
    states: Iterable[JobState] | None = None,
) -> list[RunView]:
    """Runs, the newest first."""
    records = RunRepository(session).records(
        limit=limit, after=after, version_id=version_id, dataset_id=dataset_id, states=states
    )
    return _views(session, records)


def show_pill(session: Session) -> Pill | None:
    """The run that is at work, else the newest that waits or is paused; None where there is none."""
    runs = RunRepository(session)
    records = runs.records(limit=1, states=CLAIMED) or runs.records(limit=1, states=ACTIVE)
    return _pill(session, records[0]) if records else None


def pill_of(session: Session, run_id: str) -> Pill | None:
    """The same for a certain run, ended or not; None where it is gone."""
    record = RunRepository(session).record(run_id)
    return _pill(session, record) if record else None


def _pill(session: Session, record: RunRecord) -> Pill:
    return Pill(
        run_id=record.run.id,
        name=record.run.name,
        dataset=record.dataset_name,
        status=status_of(JobState(record.job.state)),
        progress=record.run.progress,
        eta_s=_eta(record),
        queue=_positions(session, [record]).get(record.job.id),
    )


def _views(session: Session, records: Sequence[RunRecord]) -> list[RunView]:
    checkpoints = RunRepository(session).checkpoints(record.run.id for record in records)
    positions = _positions(session, records)
    rates = _rates_found(session, records)
    reasons = WaitReasons(session)
    return [
        _view(
            record,
            tuple(checkpoints.get(record.run.id, ())),
            positions.get(record.job.id),
            reasons.waits_for(record.job, positions.get(record.job.id)),
            rates.get(record.run.id, {}),
        )
        for record in records
    ]


def _rates_found(session: Session, records: Sequence[RunRecord]) -> dict[str, dict[int, Any]]:  # Any: a rate, or two
    asking = [
        record.run.id for record in records if any(stage["max_lr"] == "find" for stage in record.run.config["stages"])
    ]
    return RunRepository(session).rates_found(asking) if asking else {}


def _positions(session: Session, records: Sequence[RunRecord]) -> dict[str, int]:
    if not any(record.job.state == JobState.QUEUED for record in records):
        return {}
    return Jobs(session).queue_positions(JobKind.TRAIN)


def _eta(record: RunRecord) -> float | None:
    return record.run.eta_s if JobState(record.job.state).is_claimed else None


def _view(
    record: RunRecord,
    checkpoints: tuple[CheckpointRow, ...],
    position: int | None,
    waits_for: Waiting | None,
    rates: Mapping[int, Any],  # Any: a rate, or two
) -> RunView:
    run, job = record.run, record.job
    state = JobState(job.state)
    return RunView(
        id=run.id,
        name=run.name,
        status=status_of(state),
        dataset_id=record.dataset_id,
        dataset_name=record.dataset_name,
        version_id=run.version_id,
        version_number=record.version_number,
        config=run.config,
        rates_found=tuple(rates.get(stage) for stage in range(len(run.config["stages"]))),
        starts_from=run.starts_from,
        retrain_of=run.retrain_of,
        queue_position=position,
        waits_for=waits_for,
        phase=run.phase if state.is_claimed else None,
        activity=run.activity,
        stage=run.stage,
        epoch=run.epoch,
        epochs=sum(stage["epochs"] for stage in run.config["stages"]),
        progress=run.progress,
        eta_s=_eta(record),
        device=run.device,
        attempt=job.attempt,
        is_stopping=state is JobState.STOPPING,
        is_pausing=state is JobState.STOPPING and job.desired == Desired.PAUSE,
        is_finishing=state.is_claimed and job.desired == Desired.FINISH,
        rests_for=(job.error_message or "") if state is JobState.PAUSED and job.waits_for_bytes is not None else "",
        failure=_failure(record),
        checkpoints=checkpoints,
        starred=run.starred,
        note=run.note,
        created_at=run.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
    )


def _failure(record: RunRecord) -> Failure | None:
    """Why it failed, or rests without its owner having asked for that."""
    job = record.job
    if job.state not in (JobState.FAILED, JobState.PAUSED) or job.error_code is None:
        return None
    return Failure(job.error_code, job.error_message or "", job.error_advice or "")
