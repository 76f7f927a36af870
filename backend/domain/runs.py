"""Runs and their checkpoints: words and errors."""

from collections.abc import Mapping
from typing import Final

from backend.domain.errors import NotFound
from backend.domain.training import RunStatus

STATUS_WORDS: Final[Mapping[RunStatus, str]] = {
    RunStatus.QUEUED: "Queued",
    RunStatus.RUNNING: "Running",
    RunStatus.PAUSED: "Paused",
    RunStatus.SUCCEEDED: "Done",
    RunStatus.FAILED: "Failed",
    RunStatus.CANCELLED: "Cancelled",
}
"""A run's status as pages show it."""


class RunNotFound(NotFound):
    """There is no such run."""

    code = "run-not-found"

    def __init__(self, run_id: str) -> None:
        super().__init__(
            "There is no such training here, or it isn't shared with you.",
            advice="Look for it in the list of runs.",
            details={"run_id": run_id},
        )


class CheckpointNotFound(NotFound):
    """There is no such checkpoint."""

    code = "checkpoint-not-found"

    def __init__(self, checkpoint_id: str) -> None:
        super().__init__(
            "There is no such model here, or it isn't shared with you.",
            advice="Look for it among the stages of a run.",
            details={"checkpoint_id": checkpoint_id},
        )
