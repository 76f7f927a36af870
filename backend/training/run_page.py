"""What the run page shows, from the run's own rows."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from backend.domain.ids import VersionId
from backend.domain.results import wilson_interval
from backend.domain.training import RunStatus
from backend.domain.trends import EpochFigures, Remark, StageVerdict, remark, stage_verdict
from backend.training.repository import RunRepository
from backend.training.tables import CheckpointRow, EpochRow, RunEventRow
from backend.training.view import RunView

_LOG_KINDS = ("phase", "stage", "checkpoint", "image-skipped")
_LOG_LINES = 100


class StageState(StrEnum):
    """Where a stage stands; the word that is shown."""

    WAITS = "waits"
    RUNNING = "running"
    DONE = "done"
    HELPED = "helped"
    DID_NOT_HELP = "did not help"
    NOT_REACHED = "not reached"


@dataclass(frozen=True, slots=True)
class StageCard:
    """One stage: its epoch table and, once it is finished, its checkpoint.

    Attributes:
        number: counts from 1, as people do.
        running_epoch: the epoch under way, from 0; None where none is.
        error_interval: 95 % interval of the checkpoint's error rate.
    """

    number: int
    freeze: bool
    planned: int
    state: StageState
    epochs: tuple[EpochRow, ...]
    running_epoch: int | None
    checkpoint: CheckpointRow | None
    error_rate: float | None
    error_interval: tuple[float, float] | None
    verdict: StageVerdict | None
    remark: Remark | None


@dataclass(frozen=True, slots=True)
class LogLine:
    """One thing that happened."""

    row: RunEventRow
    text: str


@dataclass(frozen=True, slots=True)
class RunPage:
    """The run page's content.

    Attributes:
        best: the finished stage with the fewest errors.
        skipped: images that couldn't be read while training.
    """

    run: RunView
    stages: tuple[StageCard, ...]
    log: tuple[LogLine, ...]
    skipped: int
    valid_images: int

    @property
    def finished(self) -> tuple[StageCard, ...]:
        """Stages that left a checkpoint."""
        return tuple(stage for stage in self.stages if stage.checkpoint)

    @property
    def best(self) -> StageCard | None:
        """The finished stage with the fewest errors; the earlier one of equals."""
        return min(self.finished, key=lambda stage: stage.error_rate or 0.0, default=None)

    @property
    def remark(self) -> Remark | None:
        """What to say of the stage that has epochs last."""
        return next((stage.remark for stage in reversed(self.stages) if stage.epochs), None)

    @property
    def worse(self) -> StageCard | None:
        """The last finished stage, where it made the model worse than an earlier one."""
        last = self.finished[-1] if self.finished else None
        best = self.best
        return last if last and best and (last.error_rate or 0.0) > (best.error_rate or 0.0) else None


def run_page(session: Session, run: RunView) -> RunPage:
    """Everything the page of a run shows."""
    runs = RunRepository(session)
    version = runs.version(VersionId(run.version_id))
    valid_images = _valid_images(version.counts) if version else 0
    rows = runs.log(run.id, _LOG_KINDS, _LOG_LINES)
    return RunPage(
        run=run,
        stages=_stages(run, runs.epochs(run.id), valid_images),
        log=tuple(LogLine(row, _words(row)) for row in rows),
        skipped=sum(row.kind == "image-skipped" for row in rows),
        valid_images=valid_images,
    )


def _valid_images(counts: Mapping[str, Any]) -> int:  # Any: JSON values
    return sum(of_class.get("valid", 0) for of_class in counts.values())


def _stages(run: RunView, epochs: Sequence[EpochRow], valid_images: int) -> tuple[StageCard, ...]:
    checkpoints = {row.stage: row for row in run.checkpoints}
    cards: list[StageCard] = []
    for place, stage in enumerate(run.config["stages"]):
        mine = tuple(row for row in epochs if row.stage == place)
        cards.append(_card(run, place, stage, mine, checkpoints, valid_images))
    return tuple(cards)


def _card(
    run: RunView,
    place: int,
    stage: Mapping[str, Any],  # Any: JSON values
    epochs: tuple[EpochRow, ...],
    checkpoints: Mapping[int, CheckpointRow],
    valid_images: int,
) -> StageCard:
    checkpoint = checkpoints.get(place)
    verdict = _verdict(checkpoints.get(place - 1), checkpoint)
    figures = [EpochFigures(row.train_loss, row.valid_loss, row.error_rate) for row in epochs]
    is_now = run.status is RunStatus.RUNNING and run.stage == place and checkpoint is None
    valid = checkpoint.metrics["valid"] if checkpoint else None
    return StageCard(
        number=place + 1,
        freeze=stage["freeze"],
        planned=stage["epochs"],
        state=_state(run, is_now, checkpoint, verdict),
        epochs=epochs,
        running_epoch=len(epochs) if is_now and len(epochs) < stage["epochs"] else None,
        checkpoint=checkpoint,
        error_rate=valid["error_rate"] if valid else None,
        error_interval=wilson_interval(valid["errors"], valid["images"]) if valid else None,
        verdict=verdict,
        remark=remark(figures, valid_images=valid_images),
    )


def _verdict(before: CheckpointRow | None, after: CheckpointRow | None) -> StageVerdict | None:
    if before is None or after is None:
        return None
    old, new = before.metrics["valid"], after.metrics["valid"]
    return stage_verdict(before=old["error_rate"], after=new["error_rate"], valid_images=new["images"])


def _state(run: RunView, is_now: bool, checkpoint: CheckpointRow | None, verdict: StageVerdict | None) -> StageState:
    if checkpoint is not None:
        if verdict is None:
            return StageState.DONE
        return StageState.HELPED if verdict.helped else StageState.DID_NOT_HELP
    if is_now:
        return StageState.RUNNING
    return StageState.NOT_REACHED if run.status.is_final else StageState.WAITS


def _words(row: RunEventRow) -> str:
    data = row.data
    match row.kind:
        case "phase":
            return str(data["text"])
        case "stage":
            going_on = f", going on at epoch {data['first_epoch']}" if data["first_epoch"] else ""
            what = "the head learns" if data["freeze"] else "everything learns"
            return f"Stage {data['stage'] + 1}: {what}, {data['epochs']} epochs on {data['device']}{going_on}"
        case "checkpoint":
            return f"Stage {data['stage'] + 1} finished: error rate {100 * data['error_rate']:.2f} %, model kept"
        case _:
            return f"Left out: {data['path']}, because {data['reason']}"


def eta_words(seconds: float) -> str:
    """A rough time as a range, rounded up: to 10 s under 2 min, to 1 min under 20, to 5 above."""
    return range_words(seconds, seconds * 1.3)


def range_words(low: float, high: float) -> str:
    """A time between two bounds in seconds, each rounded up as in ``eta_words``."""
    if high < 120:
        return _range(low, high, 10, 1, "s")
    return _range(low, high, 60 if high < 1200 else 300, 60, "min")


def _range(low: float, high: float, step: int, unit_s: int, unit: str) -> str:
    first, last = (max(1, math.ceil(value / step)) * step // unit_s for value in (low, high))
    return f"about {last} {unit}" if first == last else f"{first}–{last} {unit}"
