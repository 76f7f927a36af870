"""Which checkpoint's results a request is about."""

from sqlalchemy.orm import Session

from backend.domain.errors import NotFound
from backend.domain.ids import CheckpointId, RunId
from backend.domain.manifest import Split
from backend.interpretation.repository import StageRepository
from backend.interpretation.service import NoResultsYet, Results


class CheckpointNotOfRun(NotFound):
    """The run has no such checkpoint."""

    code = "checkpoint-not-found"

    def __init__(self, checkpoint_id: CheckpointId) -> None:
        super().__init__(
            "There is no such model in this training, or it isn't shared with you.",
            advice="Open the run's page and choose one of its stages.",
            details={"checkpoint_id": checkpoint_id},
        )


def results_of(
    session: Session, run_id: RunId, checkpoint_id: CheckpointId | None = None, split: Split = Split.VALID
) -> Results:
    """The results of a run's checkpoint; of its last finished stage where none is named.

    Raises:
        RunNotFound: no such run.
        CheckpointNotOfRun: the run has no such checkpoint.
        NoResultsYet: no stage is finished.
    """
    repository = StageRepository(session)
    stages = repository.stages(run_id)
    if checkpoint_id is not None:
        stages = [stage for stage in stages if stage.checkpoint_id == checkpoint_id]
        if not stages:
            raise CheckpointNotOfRun(checkpoint_id)
    if not stages:
        raise NoResultsYet(run_id)
    last = stages[-1]
    return Results(run_id, last.checkpoint_id, last.stage, last.epoch, last.classes, split)
