"""Search for a learning rate: ask for it, look at it, stop it."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from backend.db.session import WriteSession
from backend.domain.errors import Conflict, NotFound
from backend.domain.ids import new_id
from backend.domain.json import Json
from backend.domain.training import RunStatus, TrainingConfig
from backend.ledger.job import Failure, JobKind, JobState
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.ledger.unit_of_work import UnitOfWork
from backend.tables.training import LearningRateFindRow
from backend.training.find import find_run
from backend.training.lr_finds.repository import FindRecord, LearningRateFinds
from backend.training.run_view import status_of
from backend.training.start import RunOrder, plan


class FindNotFound(NotFound):
    """There is no such search."""

    code = "lr-find-not-found"

    def __init__(self, find_id: str) -> None:
        super().__init__(
            "There is no such search for a learning rate here, or it isn't shared with you.",
            advice="Start one from the train page, or from a stage of a run.",
            details={"lr_find_id": find_id},
        )


class FindEnded(Conflict):
    """The search has ended, so there is nothing to stop."""

    code = "lr-find-ended"

    def __init__(self, state: JobState) -> None:
        super().__init__(
            "This search has already ended, so there is nothing to stop.",
            advice="Open its curve, or start another search.",
            details={"status": state},
        )


@dataclass(frozen=True, slots=True)
class FindView:
    """A search as it stands.

    Attributes:
        config: of one stage, the one that the rate is for.
        run_id: the run beside whose stages it is shown; None for none.
        queue_position: 1 for the next one; None where it isn't waiting.
        progress: share of the steps in [0, 1]; 1 only once it has succeeded.
        result: curve, suggestions, choice and explanation, once it has succeeded.
    """

    id: str
    status: RunStatus
    dataset_id: str
    dataset_name: str
    version_id: str
    version_number: int
    run_id: str | None
    config: dict[str, Json]
    starts_from: str | None
    queue_position: int | None
    phase: str | None
    progress: float
    is_stopping: bool
    result: dict[str, Json] | None
    failure: Failure | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def freeze(self) -> bool:
        """Whether only the head of its stage learns."""
        return bool(self.config["stages"][0]["freeze"])


def start_find(unit: UnitOfWork, order: RunOrder, weights_folder: Path, *, run_id: str | None = None) -> str:
    """Queue a search for the rate of one stage: the one that asks for ``"find"``, else the first; its id.

    ``run_id``: the run beside whose stages it is shown.

    Raises:
        RunNotFound
        AppError: as ``plan`` does.
    """
    if run_id is not None:
        find_run(unit.session, run_id)
    planned = plan(unit.session, order, weights_folder)
    find_id = new_id()
    row = LearningRateFindRow(
        id=find_id,
        version_id=order.version_id,
        job_id=unit.enqueue(
            JobKind.TRAIN,
            find_id,
            asked_by=order.asked_by,
            device=planned.config.device,
            memory_bytes=planned.forecast.memory_bytes,
        ),
        run_id=run_id,
        config=one_stage(planned.config).model_dump(mode="json"),
        starts_from=order.starts_from,
    )
    LearningRateFinds(unit.session).add(row)
    return find_id


def one_stage(config: TrainingConfig) -> TrainingConfig:
    """The config of the stage that a rate is searched for, alone."""
    stage = next((one for one in config.stages if one.max_lr == "find"), config.stages[0])
    return config.model_copy(update={"stages": (stage.model_copy(update={"max_lr": "find"}),)})


def cancel_find(session: WriteSession, find_id: str) -> JobState:
    """Stop a search as soon as its worker sees it; one that waits is cancelled at once. Safe to repeat.

    Raises:
        FindNotFound: no such search.
        FindEnded: it succeeded or failed before.
    """
    row = LearningRateFinds(session).find(find_id)
    if row is None:
        raise FindNotFound(find_id)
    state = Ledger(session).cancel(row.job_id)
    if state in (JobState.SUCCEEDED, JobState.FAILED):
        raise FindEnded(state)
    return state


def show_find(session: Session, find_id: str) -> FindView:
    """A search as it stands.

    Raises:
        FindNotFound
    """
    record = LearningRateFinds(session).record(find_id)
    if record is None:
        raise FindNotFound(find_id)
    return _views(session, [record])[0]


def list_finds(
    session: Session,
    *,
    limit: int = 100,
    after: str | None = None,
    version_id: str | None = None,
    run_id: str | None = None,
) -> list[FindView]:
    """Searches, the newest first."""
    records = LearningRateFinds(session).records(limit=limit, after=after, version_id=version_id, run_id=run_id)
    return _views(session, records)


def _views(session: Session, records: list[FindRecord]) -> list[FindView]:
    waits = any(record.job.state == JobState.QUEUED for record in records)
    places = Jobs(session).queue_positions(JobKind.TRAIN) if waits else {}
    return [_view(record, places.get(record.job.id)) for record in records]


def _view(record: FindRecord, place: int | None) -> FindView:
    find, job = record.find, record.job
    state = JobState(job.state)
    return FindView(
        id=find.id,
        status=status_of(state),
        dataset_id=record.dataset_id,
        dataset_name=record.dataset_name,
        version_id=find.version_id,
        version_number=record.version_number,
        run_id=find.run_id,
        config=find.config,
        starts_from=find.starts_from,
        queue_position=place,
        phase=find.phase if state.is_claimed else None,
        progress=find.progress,
        is_stopping=state is JobState.STOPPING,
        result=find.result,
        failure=_failure(record),
        created_at=find.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
    )


def _failure(record: FindRecord) -> Failure | None:
    job = record.job
    if job.state != JobState.FAILED or job.error_code is None:
        return None
    return Failure(job.error_code, job.error_message or "", job.error_advice or "")
