"""What is handed on with a model: one reading of the rows, for the report, the notebook and the model card alike."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from backend.datasets.export.service import sample_of
from backend.datasets.images import digests_of
from backend.datasets.samples import Sample
from backend.datasets.versions import find_version
from backend.domain.confidence.settings import ConfidenceSettings
from backend.domain.ids import CheckpointId
from backend.domain.json import Json
from backend.domain.training import Stage, TrainingConfig
from backend.storage.base import Storage
from backend.tables.datasets import VersionRow
from backend.tables.training import CheckpointRow, EpochRow
from backend.training.confidence.chosen import chosen_of
from backend.training.find import checkpoint_folder, find_checkpoint
from backend.training.repository import RunRepository
from backend.training.run_view import RunView, show_run

_EVENTS: Final = 2_000
"""Of changes of the number of epochs, and of the epochs between which they stand."""
_MOST_SKIPPED: Final = 1_000


@dataclass(frozen=True, slots=True)
class StageDone:
    """A stage as it was trained.

    Attributes:
        number: in this training, from 0.
        stage: its settings, with the rate that a search before it has found.
        epochs: its table, first to last.
        changes: (epoch, epochs in all) from which epoch on it was to have how many, where that was changed.
    """

    number: int
    stage: Stage
    epochs: tuple[EpochRow, ...]
    changes: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A model and how it came about.

    Attributes:
        written: its ``checkpoint.json``; empty where there is none.
        stages: those that led to it, first to last.
        unreadable: digests of pictures that couldn't be read while training.
        sample: the well-known sample that its pictures are; None where they are others.
        confidence: when it answers and when not, as somebody chose.
    """

    run: RunView
    version: VersionRow
    checkpoint: CheckpointRow
    written: Mapping[str, Json]
    config: TrainingConfig
    stages: tuple[StageDone, ...]
    unreadable: tuple[str, ...]
    sample: Sample | None
    confidence: ConfidenceSettings

    @property
    def valid(self) -> Mapping[str, Any]:  # Any: numbers
        """``images``, ``errors``, ``error_rate`` and ``loss`` on the validation pictures."""
        found: Mapping[str, Any] = self.checkpoint.metrics["valid"]
        return found

    @property
    def classes(self) -> tuple[str, ...]:
        """K names, in the order of the model's outputs."""
        return tuple(str(name) for name in self.checkpoint.classes)

    @property
    def name(self) -> str:
        """Dataset, training and stage in a line."""
        return f"{self.run.dataset_name}, {self.run.name}, stage {self.checkpoint.stage + 1}"


def run_facts(session: Session, storage: Storage, checkpoint_id: str) -> RunFacts:
    """All of a model.

    Raises:
        CheckpointNotFound
    """
    checkpoint = find_checkpoint(session, CheckpointId(checkpoint_id))
    run = show_run(session, checkpoint.run_id)
    config = TrainingConfig.model_validate(run.config)
    return RunFacts(
        run=run,
        version=find_version(session, run.version_id),
        checkpoint=checkpoint,
        written=_written(storage, checkpoint),
        config=config,
        stages=_stages(session, run, config, checkpoint.stage),
        unreadable=_unreadable(session, run.id),
        sample=sample_of(session, run.dataset_id),
        confidence=chosen_of(session, checkpoint.id).settings,
    )


def _written(storage: Storage, checkpoint: CheckpointRow) -> Mapping[str, Json]:
    try:
        found = json.loads((checkpoint_folder(storage, checkpoint) / "checkpoint.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _stages(session: Session, run: RunView, config: TrainingConfig, last: int) -> tuple[StageDone, ...]:
    runs = RunRepository(session)
    epochs = runs.epochs(run.id)
    changes = _changes(session, run.id)
    done = []
    for number, stage in enumerate(config.stages[: last + 1]):
        mine = tuple(row for row in epochs if row.stage == number)
        if mine:
            found = run.rates_found[number]
            whole = stage if found is None else stage.with_rate(_rate(found))
            done.append(StageDone(number, whole, mine, tuple(changes.get(number, ()))))
    return tuple(done)


def _rate(found: Any) -> Any:  # Any: a rate, or [lowest layers, head]
    return tuple(found) if isinstance(found, Sequence) else found


def _changes(session: Session, run_id: str) -> dict[int, list[tuple[int, int]]]:
    """By stage, after how many epochs it was decided that it has how many in all."""
    events = RunRepository(session).log(run_id, ["epochs-changed", "epoch"], _EVENTS)
    done: dict[int, int] = {}
    found: dict[int, list[tuple[int, int]]] = {}
    for event in reversed(events):
        stage = int(event.data["stage"])
        if event.kind == "epoch":
            done[stage] = int(event.data["epoch"]) + 1
        else:
            found.setdefault(stage, []).append((done.get(stage, 0), int(event.data["epochs"])))
    return found


def _unreadable(session: Session, run_id: str) -> tuple[str, ...]:
    rows = RunRepository(session).log(run_id, ["image-skipped"], _MOST_SKIPPED)
    return tuple(sorted(digests_of(session, sorted({str(row.data["image_id"]) for row in rows}))))
