"""What the worker asks of a training before and while an attempt at it runs."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from backend.domain.ids import VersionId
from backend.domain.json import Json
from backend.domain.training import TrainingConfig
from backend.ledger.job import Claim
from backend.ledger.queries import Jobs
from backend.tables.training import LearningRateFindRow, RunRow, StatePointRow
from backend.training.find import find_run
from backend.training.forecast.forecast import Timetable, timetable
from backend.training.lr_finds.repository import LearningRateFinds
from backend.training.record import KEPT_STATES
from backend.training.repository import RunRepository


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an attempt holds: a training or a search for a learning rate; one of the two is None."""

    claim: Claim
    run: RunRow | None
    find: LearningRateFindRow | None


def attempt_of(session: Session, job_id: str, attempt: int) -> Attempt | None:
    """What an attempt at a job holds; None where it holds nothing any more.

    Raises:
        RunNotFound: the job belongs neither to a run nor to a search.
    """
    claim = Jobs(session).claim_of(job_id, attempt)
    if claim is None:
        return None
    if find := LearningRateFinds(session).find(claim.subject_id):
        return Attempt(claim, None, find)
    return Attempt(claim, find_run(session, claim.subject_id), None)


def saved_states(session: Session, run_id: str) -> list[StatePointRow]:
    """The states from which a run can be resumed, the newest first."""
    return list(RunRepository(session).states(run_id, KEPT_STATES))


@dataclass(frozen=True, slots=True)
class PlannedWork:
    """What a run consists of.

    Attributes:
        counts: the images of its version by class and split; JSON values.
        timetable: its work with times; None where nothing was ever measured.
        finished_stages: how many of its stages have left a checkpoint.
    """

    counts: Json
    timetable: Timetable | None
    finished_stages: int


def planned_work(session: Session, run: RunRow, config: TrainingConfig) -> PlannedWork:
    """The work of a run, and how many of its stages are done."""
    runs = RunRepository(session)
    version = runs.version(VersionId(run.version_id))
    counts = version.counts if version else {}
    found = timetable(session, config, counts, version_id=None if run.starts_from else run.version_id)
    return PlannedWork(counts, found, len(runs.checkpoints([run.id]).get(run.id, ())))
