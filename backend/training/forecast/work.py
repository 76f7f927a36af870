"""What a training consists of, item by item, and what the items cost relative to each other.

A work item is of one kind: pictures read, features computed, layers trained. What one
picture of a kind takes is measured (``backend.training.forecast.speeds``);
the figures here only lead from what was measured to what wasn't.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from backend.domain.architectures import Architecture
from backend.domain.catalogue import architecture_named
from backend.domain.json import Json
from backend.domain.training import Stage, TrainingConfig

FIND_STEPS: Final = 100
_SEEDS_OF_CHEAP_SEARCH: Final = 3
PIXELS_AT: Final = 224
"""Picture size of all figures below."""


class Work(StrEnum):
    """Kinds of work, each with a speed of its own; what one unit of it is."""

    START = "start"
    """A run: its process, its libraries, its network."""
    READ = "read"
    """A picture, from its file to the size that is wanted."""
    PREPARE = "prepare"
    """A frozen network compiled for the runtime that computes it fastest."""
    FEATURES = "features"
    """Features of one view of a picture, computed by the frozen network."""
    BELOW = "below"
    """Activations of one view of a picture, computed by the frozen first blocks while the others are trained."""
    HEAD = "head"
    """A picture on which the last layers alone are trained."""
    NORMS = "norms"
    """A picture on which the last layers and batch norm are trained."""
    MOVE = "move"
    """A picture on which all layers are trained."""
    ANSWER = "answer"
    """A picture that the whole network evaluates."""
    EXPORT = "export"
    """A stage's model written, exported and checked."""


LEARNING: Final = frozenset({Work.HEAD, Work.NORMS, Work.MOVE})


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One part of a training.

    Attributes:
        amount: units of its kind; parts of one where a unit is cheaper than usual.
        size: side of the pictures.
        stage, epoch: from 0; None where it belongs to none.
        is_search: it searches for a learning rate, and nothing of it is kept.
    """

    work: Work
    amount: float
    size: int
    stage: int | None = None
    epoch: int | None = None
    is_search: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """Pictures of a version by side."""

    train: int
    valid: int
    test: int

    @property
    def whole(self) -> int:
        """All of them."""
        return self.train + self.valid + self.test

    @classmethod
    def of(cls, counts: Mapping[str, Json]) -> "Counts":
        """From a version's counts by class."""
        return cls(*(sum(of_class.get(side, 0) for of_class in counts.values()) for side in ("train", "valid", "test")))


def work_items(config: TrainingConfig, counts: Counts, *, kept_stages: Set[int] = frozenset()) -> list[WorkItem]:
    """A training's work items, first to last; ``kept_stages`` are those whose features are on disk already."""
    # Pictures of which all is known that a training asks of its layers are not opened.
    read = counts.test if kept_stages >= set(range(len(config.stages))) else counts.whole
    found = [WorkItem(Work.START, 1, config.image_size), WorkItem(Work.READ, read, config.image_size)]
    for number, stage in enumerate(config.stages):
        found += _stage(config, number, stage, counts, is_kept=number in kept_stages)
    return found


def _stage(config: TrainingConfig, number: int, stage: Stage, counts: Counts, *, is_kept: bool) -> Iterator[WorkItem]:
    size = stage.image_size or config.image_size
    learns = learning_work(stage)
    share = learning_share(config.entry, stage)
    views = stage.stored_views
    if learns is Work.HEAD and not is_kept:
        yield WorkItem(Work.PREPARE, 1, size, number)
        yield WorkItem(Work.FEATURES, counts.valid + views * counts.train, size, number)
    below = below_share(config.entry, stage)
    if below:
        yield WorkItem(Work.BELOW, counts.valid * below, size, number)
    if stage.max_lr == "find":
        seeds = _SEEDS_OF_CHEAP_SEARCH if learns is Work.HEAD else 1
        tried = seeds * FIND_STEPS * min(config.batch_size, counts.train)
        yield WorkItem(learns, tried * share, size, number, is_search=True)
    for epoch in range(stage.epochs):
        if below and epoch < views:
            yield WorkItem(Work.BELOW, counts.train * below, size, number, epoch)
        yield WorkItem(learns, counts.train * share, size, number, epoch)
        if learns is not Work.HEAD:
            yield WorkItem(Work.ANSWER, counts.valid * (1 - below), size, number, epoch)
    if asked := counts.test + config.test_time_views * counts.valid:
        yield WorkItem(Work.ANSWER, asked, size, number)
    yield WorkItem(Work.EXPORT, 1, size, number)


def learning_work(stage: Stage) -> Work:
    """What an epoch of a stage is."""
    if stage.features_are_constant:
        return Work.HEAD
    return Work.NORMS if stage.freeze else Work.MOVE


def learning_share(architecture: Architecture, stage: Stage) -> float:
    """Cost of training on a picture with the first blocks frozen and their activations kept, relative to all layers.

    Measured with ResNet-18: half of it frozen 0.29, three quarters 0.13.
    """
    return float((1 - below_share(architecture, stage)) ** 1.6)


def below_share(architecture: Architecture, stage: Stage) -> float:
    """Share of the network that is frozen in a stage that trains the other layers."""
    if stage.freeze:
        return 0.0
    blocks = architecture.blocks
    # Something of it always learns.
    return min(stage.frozen_blocks, blocks - 0.5) / blocks


ANSWER_COST: Final[Mapping[str, float]] = {
    "efficientnet-lite0": 1.95,
    "efficientnet-lite1": 2.53,
    "efficientnet-lite2": 2.8,
    "resnet18": 3.6,
    "resnet34": 6.0,
    "resnet50": 9.5,
}
"""Cost of one evaluation on a processor: GFLOP of ResNet-18, the others by measured pictures a second.

Lite1 and Lite2 by their GFLOP and activations against Lite0's.
"""


_OF_GFLOP: Final = 0.87
_OF_ACTIVATION: Final = 0.187e-6
"""Fitted to ``ANSWER_COST`` of the four measured networks, within a fifth: moving numbers costs as well."""


@dataclass(frozen=True, slots=True)
class Ratios:
    """Cost of a picture of each kind of work, relative to one evaluation by the same network."""

    features: float
    norms: float
    move: float


RATIOS: Final[Mapping[str, Ratios]] = {
    "ResNet": Ratios(features=0.8, norms=2.2, move=3.5),
    "EfficientNet": Ratios(features=0.45, norms=6.0, move=12.0),
}
"""Measured on a processor of two cores; without a family, ResNet's."""


def relative_cost(architecture: str, work: Work) -> float:
    """Cost of a unit of a network's work, relative to one evaluation by a ResNet of 1 GFLOP."""
    entry = architecture_named(architecture)
    ratios = RATIOS.get(entry.family, RATIOS["ResNet"])
    # A network nobody has measured counts by its operations and activations, else by its weights.
    counted = _OF_GFLOP * entry.gflops + _OF_ACTIVATION * entry.activations or 3.6 * entry.parameters / 11.7e6
    answer = ANSWER_COST.get(architecture, counted)
    match work:
        case Work.FEATURES:
            return answer * ratios.features
        case Work.NORMS:
            return answer * ratios.norms
        case Work.MOVE:
            return answer * ratios.move
        case _:
            return answer


USUAL: Final = {Work.START: 5.5, Work.READ: 1 / 500, Work.PREPARE: 1.2, Work.HEAD: 0.0006, Work.EXPORT: 2.2}
"""Seconds that a unit took on two cores of a processor of 2021, of what doesn't grow with the network."""
_USUAL_ANSWER: Final = 0.0101


def usual_seconds(item: WorkItem, architecture: str) -> float:
    """Seconds that an item takes on such a processor."""
    if (of_one := USUAL.get(item.work)) is not None:
        return of_one * item.amount
    area = (item.size / PIXELS_AT) ** 2
    return _USUAL_ANSWER * relative_cost(architecture, item.work) * area * item.amount
