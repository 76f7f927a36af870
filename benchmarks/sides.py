"""The sides that the suite compares, the grid of fastai's ``fine_tune``, and in which order everything is measured."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from backend.domain.architectures import ARCHITECTURES
from backend.domain.json import Json
from backend.domain.training import Recipe, TrainingConfig, TrainingRequest, resolve
from backend.training.forecast.speeds import Speed
from backend.training.forecast.work import Counts
from benchmarks.parts import (
    BATCH_SIZE,
    FASTAI_FROZEN_STAGE,
    FASTAI_ITEM_SIZE,
    FASTAI_UNFROZEN_STAGE,
    IMAGE_SIZE,
    in_turn,
)
from benchmarks.planning import planned_config
from benchmarks.suite_run import SuiteRun

ARCHITECTURE: Final = "efficientnet-lite0"
"""fastai's backbone, with the weights of the package; ours is what the request resolves to."""
OURS: Final = "ours"
LESSON: Final = "fastai lesson"
FINE_TUNE: Final = "fastai fine_tune"


@dataclass(frozen=True, slots=True)
class GridPoint:
    """The two arguments of fastai's ``fine_tune``.

    ``fixed_norms``: in its frozen epoch batch norm stays as it was pretrained (``BnFreeze``, ``train_bn=False``), which
    fastai doesn't do by default.
    """

    epochs: int
    base_lr: float
    fixed_norms: bool = False

    @property
    def words(self) -> str:
        """``10, 0.002``, and whether batch norm is fixed."""
        return f"{self.epochs}, {self.base_lr:g}{', fixed' if self.fixed_norms else ''}"


GRID: Final = (
    GridPoint(10, 2e-3),
    GridPoint(10, 2e-3, fixed_norms=True),
    GridPoint(5, 2e-3),
    GridPoint(10, 5e-3),
    GridPoint(5, 5e-3),
    GridPoint(3, 5e-3),
    GridPoint(3, 2e-3),
    GridPoint(10, 1e-3),
    GridPoint(5, 1e-3),
    GridPoint(3, 1e-3),
)
"""The first one is measured on every set before any other."""


@dataclass(frozen=True, slots=True)
class Side:
    """One way of training: a request to our engine, or stages of fastai's.

    Attributes:
        config: the request with all numbers filled in for the pictures of a set; None before ``for_pictures``.
        fixed_norms: of ``GridPoint``.
    """

    name: str
    request: TrainingRequest | None = None
    config: TrainingConfig | None = None
    stages: tuple[dict[str, Json], ...] = ()
    fixed_norms: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether our engine trains."""
        return self.request is not None

    @property
    def settings(self) -> str:
        """Hash of the training's settings; a run with other settings is measured again."""
        content: Any = [*self.stages, *(["fixed norms"] if self.fixed_norms else [])]  # Any: JSON values
        if self.is_ours:
            # Without defaults, so that a new setting of the product leaves the hash as it is.
            content = self._config.model_dump(mode="json", exclude_defaults=True)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def _config(self) -> TrainingConfig:
        assert self.request is not None, "only our sides have a config"
        return self.config or resolve(self.request)

    def for_pictures(self, counts: Counts, speeds: Sequence[Speed]) -> "Side":
        """The side with its stages planned for so many pictures on a machine of these speeds."""
        if self.request is None:
            return self
        return replace(self, config=planned_config(self.request, counts, speeds))

    def job(self, seed: int) -> dict[str, Json]:
        """The job of the measured process, without images and weights."""
        if self.is_ours:
            return {"config": self._config.model_copy(update={"seed": seed}).model_dump(mode="json")}
        entry = ARCHITECTURES[ARCHITECTURE]
        return {
            "architecture": ARCHITECTURE,
            "mean": list(entry.mean),
            "std": list(entry.std),
            "item_size": FASTAI_ITEM_SIZE,
            "image_size": IMAGE_SIZE,
            "batch_size": BATCH_SIZE,
            "seed": seed,
            "stages": list(self.stages),
            "best": self.fixed_norms,
            "workers": 0,
        }


def ours(variants: Mapping[str, TrainingRequest]) -> tuple[Side, ...]:
    """``recommended`` as the product resolves it, and each named variant of a request."""
    recommended = Side(OURS, TrainingRequest(recipe=Recipe.RECOMMENDED))
    return (recommended, *(Side(f"{OURS}: {name}", request) for name, request in variants.items()))


def lesson() -> Side:
    """fastai's lesson with default settings: a frozen stage, then one of all layers; the better one is chosen."""
    return Side(LESSON, stages=(FASTAI_FROZEN_STAGE, FASTAI_UNFROZEN_STAGE))


def fine_tune(point: GridPoint) -> Side:
    """fastai's ``fine_tune`` with default settings and these arguments."""
    name = f"{FINE_TUNE}, {point.epochs} epochs, base_lr {point.base_lr:g}"
    name += ", batch norm fixed while frozen" if point.fixed_norms else ""
    return Side(name, stages=({"epochs": point.epochs, "base_lr": point.base_lr},), fixed_norms=point.fixed_norms)


def best_point(runs: Sequence[SuiteRun], grid: Sequence[GridPoint] = GRID) -> GridPoint | None:
    """The grid point whose run has the lowest validation error, of equals the lowest validation loss.

    Args:
        runs: of one set and seed; those of other sides don't count.

    Returns:
        None if no point was measured.
    """
    point_of = {fine_tune(point).name: point for point in grid}
    known = [run for run in runs if run.side in point_of]
    if not known:
        return None
    return point_of[min(known, key=lambda run: (run.error_rate, run.epochs[-1].loss)).side]


@dataclass(frozen=True, slots=True)
class Planned:
    """A training that is to be measured."""

    set: str
    seed: int
    side: Side

    def for_pictures(self, counts: Counts, speeds: Sequence[Speed]) -> "Planned":
        """The same with the stages planned for these pictures."""
        return replace(self, side=self.side.for_pictures(counts, speeds))


RunsOf = Callable[[str, int], Sequence[SuiteRun]]
"""The runs of a set and seed that are measured so far."""


def planned(sets: Sequence[str], seeds: Sequence[int], our_sides: Sequence[Side], runs_of: RunsOf) -> Iterator[Planned]:
    """Everything to be measured, in an order in which every set has figures early.

    First our sides and the first grid point on the first seed of each set; then the second grid point, which is fastai
    at its best where batch norm matters; then fastai's lesson; then the rest of the grid; then the other seeds with the
    best grid point. What comes next depends on what ``runs_of`` gives by then.
    """
    first, *others = seeds
    for place, name in enumerate(sets):
        for side in in_turn((*our_sides, fine_tune(GRID[0])), place):
            yield Planned(name, first, side)
    second, *rest = GRID[1:]
    for side in (fine_tune(second), lesson(), *(fine_tune(point) for point in rest)):
        for name in sets:
            yield Planned(name, first, side)
    for number, seed in enumerate(others, start=1):
        for name in sets:
            best = best_point(runs_of(name, first))
            fastai = () if best is None else (fine_tune(best), lesson())
            for side in in_turn((*our_sides, *fastai), number):
                yield Planned(name, seed, side)
