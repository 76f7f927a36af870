"""Which run's and which checkpoint's results a request is about."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from backend.domain.ids import CheckpointId, RunId
from backend.domain.manifest import Split
from backend.domain.runs import CheckpointNotFound, RunNotFound
from backend.interpretation.corrections import Corrections
from backend.interpretation.repository import FinishedStage, RunHead, StageRepository
from backend.interpretation.service import NoResultsYet, Results


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """A run, its finished stages (first to last), and the one that is looked at; None where none is finished.

    ``corrections`` are what pages say above its results.
    """

    head: RunHead
    stages: tuple[FinishedStage, ...]
    results: Results | None
    corrections: Corrections | None = None


def open_run(
    session: Session, run_id: RunId, checkpoint_id: CheckpointId | None = None, split: Split = Split.VALID
) -> OpenedRun:
    """A run with the results of one of its checkpoints; of its best one where none is named.

    Raises:
        RunNotFound: no such run.
        CheckpointNotFound: the run has no such checkpoint.
    """
    repository = StageRepository(session)
    head = repository.head(run_id)
    if head is None:
        raise RunNotFound(run_id)
    stages = tuple(repository.stages(run_id))
    chosen = [stage for stage in stages if checkpoint_id in (None, stage.checkpoint_id)]
    if checkpoint_id is not None and not chosen:
        raise CheckpointNotFound(checkpoint_id)
    if not chosen:
        return OpenedRun(head, stages, None)
    best = min(chosen, key=lambda stage: stage.rank)
    results = Results(run_id, best.checkpoint_id, best.stage, best.epoch, best.classes, split)
    return OpenedRun(head, stages, results)


def require_results(
    session: Session, run_id: RunId, checkpoint_id: CheckpointId | None = None, split: Split = Split.VALID
) -> tuple[RunHead, Results]:
    """A run and its results, for those who can do nothing without them.

    Raises:
        RunNotFound, CheckpointNotFound: as ``open_run``.
        NoResultsYet: no stage is finished.
    """
    opened = open_run(session, run_id, checkpoint_id, split)
    if opened.results is None:
        raise NoResultsYet(run_id)
    return opened.head, opened.results


def results_of(
    session: Session, run_id: RunId, checkpoint_id: CheckpointId | None = None, split: Split = Split.VALID
) -> Results:
    """The results alone. Raises as ``require_results`` does."""
    return require_results(session, run_id, checkpoint_id, split)[1]
