"""A training as a line of stages through one or several runs: what came before a run, what goes on from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from backend.domain.json import Json
from backend.domain.training import RunStatus
from backend.ledger.job import JobState
from backend.tables.training import CheckpointRow, LearningRateFindRow, RunRow
from backend.training.lineage_repository import LineageRepository, Origin
from backend.training.run_view import RunView, status_of

_LONGEST: Final = 20
"""Runs that a line is followed back through."""
_MOST: Final = 20


@dataclass(frozen=True, slots=True)
class EarlierStage:
    """A finished stage of another run, from which this one comes; ``number`` counts from 1."""

    run_id: str
    run_name: str
    number: int
    freeze: bool
    planned: int
    checkpoint: CheckpointRow

    @property
    def error_rate(self) -> float:
        """Share of test pictures that its model gets wrong."""
        return float(self.checkpoint.metrics["valid"]["error_rate"])


@dataclass(frozen=True, slots=True)
class LaterRun:
    """A run that goes on from a stage of this one; ``after`` is that stage, from 0."""

    id: str
    name: str
    status: RunStatus
    freeze: bool
    after: int


@dataclass(frozen=True, slots=True)
class FindCard:
    """A search for a learning rate beside the stages; ``after`` is the stage before it, -1 for none.

    ``max_lr``: the rate, or [lowest layers, head]; None until it has been found.
    """

    id: str
    status: RunStatus
    freeze: bool
    after: int
    max_lr: float | list[float] | None


@dataclass(frozen=True, slots=True)
class Lineage:
    """What stands around the stages of one run. ``is_cut``: an earlier part of it has been deleted."""

    earlier: tuple[EarlierStage, ...]
    later: tuple[LaterRun, ...]
    finds: tuple[FindCard, ...]
    is_cut: bool


def line_of(session: Session, run: RunView) -> Lineage:
    """The line that a run is a part of."""
    lines = LineageRepository(session)
    earlier, is_cut = _earlier(lines, run.starts_from)
    stage_of = {row.id: row.stage for row in run.checkpoints}
    later = lines.later_runs(stage_of, _MOST)
    finds = lines.finds(run.id, stage_of, _MOST)
    return Lineage(
        earlier=earlier,
        later=tuple(_later(row, JobState(job.state), stage_of) for row, job in later),
        finds=tuple(_find(row, JobState(job.state), stage_of) for row, job in finds),
        is_cut=is_cut,
    )


def _earlier(lines: LineageRepository, checkpoint_id: str | None) -> tuple[tuple[EarlierStage, ...], bool]:
    found: list[EarlierStage] = []
    for _ in range(_LONGEST):
        if checkpoint_id is None:
            return tuple(found), False
        origin = lines.origin(checkpoint_id)
        if origin is None:
            break
        found = _stages(lines, origin) + found
        checkpoint_id = origin.run.starts_from
    return tuple(found), True


def _stages(lines: LineageRepository, origin: Origin) -> list[EarlierStage]:
    stages: Sequence[dict[str, Json]] = origin.run.config["stages"]
    return [
        EarlierStage(
            run_id=origin.run.id,
            run_name=origin.run.name,
            number=row.stage + 1,
            freeze=stages[row.stage]["freeze"],
            planned=stages[row.stage]["epochs"],
            checkpoint=row,
        )
        for row in lines.stages_before(origin)
    ]


def _later(run: RunRow, state: JobState, stage_of: dict[str, int]) -> LaterRun:
    assert run.starts_from is not None  # that is how it was found
    return LaterRun(run.id, run.name, status_of(state), run.config["stages"][0]["freeze"], stage_of[run.starts_from])


def _find(row: LearningRateFindRow, state: JobState, stage_of: dict[str, int]) -> FindCard:
    return FindCard(
        id=row.id,
        status=status_of(state),
        freeze=row.config["stages"][0]["freeze"],
        after=stage_of.get(row.starts_from or "", -1),
        max_lr=(row.result or {}).get("max_lr"),
    )
