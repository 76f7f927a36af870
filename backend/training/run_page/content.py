"""What the run page shows, from the run's own rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy.orm import Session

from backend.domain.ids import CheckpointId, VersionId
from backend.domain.json import Json
from backend.domain.results import rank_of
from backend.domain.schedule import planned_points
from backend.domain.training import RunIf, RunStatus, Stage
from backend.domain.trends import Change, EpochFigures, Remark, Verdict, remark, stage_verdict
from backend.interpretation.answers import AnsweredImage
from backend.interpretation.flips import flips_between
from backend.interpretation.service import samples
from backend.tables.training import CheckpointRow, EpochRow
from backend.training.queue import Before, ahead_in_queue
from backend.training.repository import RunRepository
from backend.training.run_page.hardware import Machine, machine_of, silence
from backend.training.run_page.lineage import EarlierStage, Lineage, line_of
from backend.training.run_page.log import LogLine, SkippedImage, log_of, skipped_images
from backend.training.run_page.settings import Section, settings_in_words
from backend.training.run_page.timeline import Part, timeline
from backend.training.run_view import RunView


class StageState(StrEnum):
    """Where a stage stands; the word that is shown."""

    NOT_YET = "not yet"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    HELPED = "helped"
    MADE_IT_WORSE = "made it worse"
    NO_CHANGE = "no measurable change"
    NOT_REACHED = "not reached"
    NOT_NEEDED = "not needed"


_LOOKED_AT: Final = 10
_CHANGES: Final = 1000
"""Changes of the number of epochs that are looked at; a stage has no more epochs than that."""
_STATE_AFTER: Final = {
    Change.BETTER: StageState.HELPED,
    Change.NOISE: StageState.NO_CHANGE,
    Change.WORSE: StageState.MADE_IT_WORSE,
}


@dataclass(frozen=True, slots=True)
class StageCard:
    """One stage: its epoch table and, once it is finished, its checkpoint.

    Attributes:
        number: counts from 1, as people do.
        settings: its config; JSON values.
        epochs_in_time: how many of the planned epochs it is to have by now, or had.
        found_rate: what a search before it has found; None where there was none.
        plan: how its rate and momentum are to go, as JSON (``planned_points``).
        running_epoch: the epoch under way, from 0; None where none is.
        batches: (done, of) in that epoch; None before the first report.
        errors, images: of how many test pictures its model gets how many wrong; 0 before there is one.
        is_open: whether epochs may still come.
    """

    number: int
    freeze: bool
    planned: int
    epochs_in_time: int
    settings: Mapping[str, Json]
    found_rate: Any  # Any: a rate, or [lowest layers, head]
    plan: str
    state: StageState
    epochs: tuple[EpochRow, ...]
    running_epoch: int | None
    batches: tuple[int, int] | None
    checkpoint: CheckpointRow | None
    errors: int
    images: int
    is_open: bool
    verdict: Verdict | None
    remark: Remark | None

    @property
    def is_begun(self) -> bool:
        """Whether anything of it has been trained."""
        return bool(self.epochs) or self.state is StageState.RUNNING

    @property
    def error_rate(self) -> float:
        """Share of test pictures that its model gets wrong."""
        return self.errors / self.images if self.images else 0.0

    @property
    def is_within_chance(self) -> bool:
        """Whether its model is only seemingly better than the one before it."""
        return bool(self.checkpoint and self.checkpoint.metrics["valid"].get("is_within_chance", False))

    @property
    def rank(self) -> tuple[bool, float, float]:
        """Sorts finished stages, the best first."""
        assert self.checkpoint is not None, "only finished stages have a rank"
        return rank_of(self.checkpoint.metrics["valid"])


@dataclass(frozen=True, slots=True)
class RunPage:
    """The run page's content.

    Attributes:
        skipped: images that couldn't be read while training.
        timeline: its parts, while it is under way.
        silence: since when nothing was heard of it, in words; empty while there is news.
        before_it: who is before it in the line; None where it doesn't wait.
        look: a few test pictures, always the same ones, with the answers of the best model so far.
    """

    run: RunView
    stages: tuple[StageCard, ...]
    line: Lineage
    log: tuple[LogLine, ...]
    skipped: tuple[SkippedImage, ...]
    valid_images: int
    timeline: tuple[Part, ...]
    machine: Machine
    silence: str
    settings: tuple[Section, ...]
    before_it: Before | None
    look: tuple[AnsweredImage, ...]

    @property
    def before(self) -> EarlierStage | None:
        """The stage of another run that it goes on from."""
        return self.line.earlier[-1] if self.line.earlier else None

    @property
    def finished(self) -> tuple[StageCard, ...]:
        """Stages that left a checkpoint."""
        return tuple(stage for stage in self.stages if stage.checkpoint)

    @property
    def best(self) -> StageCard | None:
        """The finished stage with the best model."""
        return min(self.finished, key=lambda stage: stage.rank, default=None)

    @property
    def offered(self) -> tuple[StageCard, ...]:
        """Finished stages in the order in which their models are offered: the best, then the newest first."""
        return tuple(sorted(reversed(self.finished), key=lambda stage: stage is not self.best))

    @property
    def remark(self) -> Remark | None:
        """What to say of the stage that has epochs last."""
        return next((stage.remark for stage in reversed(self.stages) if stage.epochs), None)

    @property
    def is_first_best(self) -> bool:
        """Whether the last finished stage's model is not the best one."""
        return bool(self.best and self.finished[-1] is not self.best)


def run_page(session: Session, run: RunView) -> RunPage:
    """Everything the page of a run shows."""
    runs = RunRepository(session)
    version = runs.version(VersionId(run.version_id))
    changed = {
        row.data["stage"]: row.data["epochs"] for row in reversed(runs.log(run.id, ["epochs-changed"], _CHANGES))
    }
    valid_images = _valid_images(version.counts) if version else 0
    return RunPage(
        run=run,
        stages=_stages(
            run, runs.epochs(run.id), _verdicts(session, run), valid_images, runs.newest_steps(run.id), changed
        ),
        line=line_of(session, run),
        log=log_of(session, run.id),
        skipped=skipped_images(session, run.id),
        valid_images=valid_images,
        timeline=timeline(run, version.counts if version else {}),
        machine=machine_of(session, run),
        silence=silence(session, run),
        settings=settings_in_words(run.config, run.rates_found),
        before_it=ahead_in_queue(session, run.queue_position or 1) if run.status is RunStatus.QUEUED else None,
        look=_look(session, run),
    )


def _look(session: Session, run: RunView) -> tuple[AnsweredImage, ...]:
    if not run.checkpoints:
        return ()
    best = min(run.checkpoints, key=lambda checkpoint: rank_of(checkpoint.metrics["valid"]))
    return tuple(samples(session, CheckpointId(best.id), limit=_LOOKED_AT))


def _verdicts(session: Session, run: RunView) -> dict[int, Verdict]:
    """What each finished stage changed against the model that it began with, by stage."""
    found: dict[int, Verdict] = {}
    before = RunRepository(session).find_checkpoint(CheckpointId(run.starts_from)) if run.starts_from else None
    for row in run.checkpoints:
        flips = flips_between(session, CheckpointId(before.id), CheckpointId(row.id)) if before else None
        # Other test pictures than before, as in another version, would compare what can't be compared.
        if before is not None and flips is not None and flips.images == row.metrics["valid"]["images"]:
            losses = (before.metrics["valid"]["loss"], row.metrics["valid"]["loss"])
            found[row.stage] = stage_verdict(flips, losses, freeze=run.config["stages"][row.stage]["freeze"])
        before = row
    return found


def _valid_images(counts: Mapping[str, Json]) -> int:
    return sum(of_class.get("valid", 0) for of_class in counts.values())


def _stages(
    run: RunView,
    epochs: Sequence[EpochRow],
    verdicts: Mapping[int, Verdict],
    valid_images: int,
    steps: Mapping[str, Json] | None,
    changed: Mapping[int, int],
) -> tuple[StageCard, ...]:
    checkpoints = {row.stage: row for row in run.checkpoints}
    cards: list[StageCard] = []
    for place in range(len(run.config["stages"])):
        mine = tuple(row for row in epochs if row.stage == place)
        card = _card(run, place, mine, checkpoints.get(place), verdicts.get(place), valid_images, steps, changed)
        cards.append(card)
    return tuple(cards)


def _card(
    run: RunView,
    place: int,
    epochs: tuple[EpochRow, ...],
    checkpoint: CheckpointRow | None,
    verdict: Verdict | None,
    valid_images: int,
    steps: Mapping[str, Json] | None,
    changed: Mapping[int, int],
) -> StageCard:
    stage = run.config["stages"][place]
    epochs_in_time = changed.get(place, stage["epochs"])
    figures = [EpochFigures(row.train_loss, row.valid_loss, row.error_rate) for row in epochs]
    is_now = run.status is RunStatus.RUNNING and run.stage == place and checkpoint is None
    valid = checkpoint.metrics["valid"] if checkpoint else None
    running_epoch = len(epochs) if is_now and len(epochs) < epochs_in_time else None
    return StageCard(
        number=place + 1,
        freeze=stage["freeze"],
        planned=stage["epochs"],
        epochs_in_time=epochs_in_time,
        settings=stage,
        found_rate=run.rates_found[place],
        plan=_plan(stage, run.rates_found[place]),
        state=_state(run, place, is_now, checkpoint, verdict),
        epochs=epochs,
        running_epoch=running_epoch,
        batches=_batches(steps, place, running_epoch, stage["epochs"]) if steps and running_epoch is not None else None,
        checkpoint=checkpoint,
        errors=valid["errors"] if valid else 0,
        images=valid["images"] if valid else 0,
        is_open=not run.status.is_final and checkpoint is None,
        verdict=verdict,
        remark=remark(figures, valid_images=valid_images),
    )


def _plan(stage: Mapping[str, Json], found: Json) -> str:
    return json.dumps(planned_points(Stage.model_validate({**stage, "max_lr": found or stage["max_lr"]})))


def _batches(steps: Mapping[str, Any], place: int, epoch: int, epochs: int) -> tuple[int, int] | None:
    """How many batches of the epoch under way are done, of how many."""
    if (steps["stage"], steps["epoch"]) != (place, epoch):
        return None
    of = steps["steps"] // epochs
    return steps["step"] - epoch * of, of


def _state(
    run: RunView, place: int, is_now: bool, checkpoint: CheckpointRow | None, verdict: Verdict | None
) -> StageState:
    if checkpoint is not None:
        return _STATE_AFTER[verdict.change] if verdict else StageState.DONE
    if is_now:
        return StageState.RUNNING
    if run.status is RunStatus.PAUSED and run.stage == place:
        return StageState.PAUSED
    if not run.status.is_final:
        return StageState.NOT_YET
    return StageState.NOT_NEEDED if _is_skipped(run, place) else StageState.NOT_REACHED


def _is_skipped(run: RunView, place: int) -> bool:
    """Whether a stage against mistakes was left out, since the model before it makes none."""
    before = [row.metrics["valid"]["errors"] for row in run.checkpoints if row.stage < place]
    is_against_mistakes = run.config["stages"][place].get("run_if") == RunIf.MISTAKES
    return run.status is RunStatus.SUCCEEDED and is_against_mistakes and before[-1:] == [0]
