"""A run on a version of two classes, and the attempt that works on it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.db.session import Database
from backend.domain.events import EpochFinished, StageFinished, StateSaved, StepFinished
from backend.domain.ids import CheckpointId, VersionId, new_id
from backend.domain.manifest import Split
from backend.domain.results import Evaluation
from backend.domain.training import StageRequest, TrainingRequest
from backend.ledger.claiming import claim_next
from backend.ledger.job import Claim, JobKind, Worker
from backend.ledger.repository import Ledger
from backend.ledger.timers import Timers
from backend.ledger.unit_of_work import NoNotifier, unit_of_work
from backend.training.record import StoredCheckpoint
from backend.training.run_view import RunView, show_run
from backend.training.start import RunOrder, start
from tests.fixtures.versions import add_version

COUNTS = {"bear": {"train": 80, "valid": 20, "test": 0}, "cat": {"train": 80, "valid": 20, "test": 0}}
STAGES = (StageRequest(freeze=True, epochs=4), StageRequest(freeze=False, epochs=2))


@dataclass(frozen=True, slots=True)
class Scene:
    """Short ways to ask and tell, each in a transaction of its own."""

    database: Database

    def version(self) -> VersionId:
        """A frozen version of two classes."""
        with self.database.write() as session:
            return add_version(session, COUNTS)

    def run(self, version_id: VersionId | None = None, architecture: str = "efficientnet-lite0") -> str:
        """A queued run of two stages, 4 and 2 epochs."""
        request = TrainingRequest(architecture=architecture, stages=STAGES)
        with unit_of_work(self.database, NoNotifier()) as unit:
            return start(unit, RunOrder(version_id or self.version(), request), Path("/nowhere")).id

    def claim(self, worker_id: str = "worker-1") -> Claim:
        """The attempt at the run that waits."""
        claim = claim_next(self.database, JobKind.TRAIN, Worker(worker_id, "host-1"), Timers())
        assert claim is not None
        return claim

    def finish(self, claim: Claim) -> None:
        """Its job is done."""
        with self.database.write() as session:
            Ledger(session).finish(claim.job_id, claim.attempt)

    def view(self, run_id: str) -> RunView:
        """The run as it stands."""
        with self.database.read() as session:
            return show_run(session, run_id)


def epoch_finished(stage: int, epoch: int, duration_s: float = 10.0) -> EpochFinished:
    """A row of the table."""
    return EpochFinished(stage, epoch, 0.5, 0.4, 0.1, 0.9, 0.003, duration_s)


def state_saved(stage: int, epoch: int) -> StateSaved:
    """The point after it."""
    return StateSaved(stage, epoch + 1, 0, f"state-{stage}-{epoch}.safetensors", "a" * 64, 1000)


def step_finished(step: int, *, steps: int = 400, epoch: int = 0, stage: int = 0, losses: int = 1) -> StepFinished:
    """So many steps done in a stage."""
    return StepFinished(stage, epoch, step, steps, (0.7,) * losses, 0.003, 0.9, 64.0)


def stage_finished(stage: int, epoch: int = 3) -> StageFinished:
    """A stage's end."""
    return StageFinished(stage, epoch, f"stage-{stage}", "b" * 64, 1234, 0.4, 0.1, 1e-6, 1.0, 20)


def stored_checkpoint(image_ids: tuple[str, ...] = ()) -> StoredCheckpoint:
    """Its checkpoint as it lies in storage."""
    checkpoint_id = CheckpointId(new_id())
    return StoredCheckpoint(
        checkpoint_id,
        checkpoint_id,
        {
            "architecture": "efficientnet-lite0",
            "classes": ["bear", "cat"],
            "preprocessing": {"size": 224, "std": [0.2, 0.2, 0.3]},
            "metrics": {"valid": {"images": 40, "errors": 4, "error_rate": 0.1, "loss": 0.4}},
        },
        {"max_difference": 1e-6, "agreement": 1.0, "images": 20},
        {
            Split.VALID: Evaluation(
                ("bear", "cat"),
                image_ids,
                np.zeros((len(image_ids), 2), np.float32),
                np.zeros(len(image_ids), np.int64),
            )
        },
    )
