"""What a stage's training needs: network, optimizer, loss, batches, and how far it is."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW

from backend.domain.training import Stage
from worker.engine.hardware.memory import MemoryLimits
from worker.engine.loop.best import Best
from worker.engine.loop.time_limit import TimeLimit
from worker.engine.network.architectures import Classifier
from worker.engine.network.optim import batch_norms, set_rates
from worker.engine.parallel.ranks import ALONE, Ranks

_SMOOTHING: Final = 0.98
"""Source: fastai ``Recorder`` beta."""


Forward = Callable[[Tensor], Tensor]
"""A batch's inputs -> (N, K) logits: the whole network, or its upper part where inputs are stored answers."""


class Batches(Protocol):
    """Training batches, epoch by epoch."""

    def of(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs of the forward pass and (N,) targets, on the device, from a step on: this process's rows.

        One batch for each step: one of which too little is readable comes as well.
        """
        ...


@dataclass(slots=True)
class SmoothedLoss:
    """Exponential average of the losses of a stage's steps, debiased; in nats. Source: fastai ``AvgSmoothLoss``."""

    average: float = 0.0
    steps: int = 0

    def add(self, loss: float) -> None:
        """Take in the loss of one more step."""
        self.average = _SMOOTHING * self.average + (1 - _SMOOTHING) * loss
        self.steps += 1

    @property
    def value(self) -> float:
        """The average without the bias of its start at zero; not a number before the first step."""
        return self.average / (1 - _SMOOTHING**self.steps) if self.steps else math.nan


@dataclass(frozen=True, slots=True)
class Criterion:
    """The loss: cross entropy in nats, added up over images.

    Attributes:
        class_weights: (K,) how much a mistake about each class counts; None is alike.
        label_smoothing: share of certainty that is spread over all classes.
    """

    class_weights: Tensor | None = None
    label_smoothing: float = 0.0

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """(N, K) and (N,) -> a scalar."""
        return F.cross_entropy(
            logits, targets, weight=self.class_weights, label_smoothing=self.label_smoothing, reduction="sum"
        )


@dataclass(slots=True)
class Cursor:
    """Where a stage continues: at ``step`` of ``epoch``, both from 0, ``elapsed_s`` seconds into that epoch."""

    epoch: int = 0
    step: int = 0
    elapsed_s: float = 0.0


@dataclass(slots=True)
class LearningRateBackoff:
    """By how much a diverging training has lowered its learning rates: they are multiplied by ``factor``."""

    factor: float = 1.0
    times: int = 0

    def halve(self) -> None:
        """Halve the rates once more."""
        self.factor /= 2
        self.times += 1


@dataclass(frozen=True, slots=True)
class Pace:
    """How far along its one-cycle a stage is at each step: evenly from ``progress`` at ``step`` to 1 at its end.

    So rate and momentum don't jump where its number of epochs is changed.
    """

    step: int = 0
    progress: float = 0.0

    def at(self, step: int, steps: int) -> float:
        """Share of the one-cycle in [0, 1] at a step of so many."""
        return self.progress + (1 - self.progress) * (step - self.step) / (steps - self.step)


@dataclass(slots=True)
class KeptBackbone:
    """The file that holds the constant backbone of a frozen stage; its name is empty before the first save."""

    file: str = ""
    sha256: str = ""


@dataclass(slots=True)
class StageRun:
    """All that the steps of one stage need; it changes as the stage proceeds.

    Attributes:
        number: the stage's number in this training, from 0.
        forward: from a batch's inputs to (N, K) logits.
        autocast: number format of the forward pass; None is float32.
        scaler: keeps the small gradients of float16; disabled otherwise.
        limits: how many images fit into memory at once.
        seed: of the training; each step seeds its own random numbers from it.
        stages_before: stages of earlier trainings that led to the weights this training began with.
        criterion: the loss.
        backoff: by how much divergence has lowered the rates.
        loss: smoothed over the stage.
        cursor: where it is.
        bests: its best epochs so far, the best last.
        planned_epochs: how many epochs it was to have; ``stage`` may have fewer by now.
        pace: how its one-cycle goes on since that was changed.
        epoch_seconds: how long its epochs took, those of this attempt.
        time: how long the training has worked, and how long it may.
        kept_backbone: the file of its constant backbone.
        ranks: the processes that take its steps together.
        norms: all batch norm layers.
        average_gradients: makes the gradients of all that learns the mean of those of these processes.
        are_steps_small: it is the head alone that runs, on stored features.
    """

    number: int
    stage: Stage
    model: Classifier
    forward: Forward
    batches: Batches
    optimizer: AdamW
    steps_per_epoch: int
    device: torch.device
    autocast: torch.dtype | None
    scaler: torch.amp.GradScaler
    limits: MemoryLimits
    seed: int = 0
    stages_before: int = 0
    criterion: Criterion = field(default_factory=Criterion)
    backoff: LearningRateBackoff = field(default_factory=LearningRateBackoff)
    loss: SmoothedLoss = field(default_factory=SmoothedLoss)
    cursor: Cursor = field(default_factory=Cursor)
    bests: list[Best] = field(default_factory=list)
    kept_backbone: KeptBackbone = field(default_factory=KeptBackbone)
    pace: Pace = field(default_factory=Pace)
    epoch_seconds: list[float] = field(default_factory=list)
    time: TimeLimit = field(default_factory=TimeLimit)
    planned_epochs: int = field(init=False)
    ranks: Ranks = ALONE
    are_steps_small: bool = False
    norms: list[nn.Module] = field(init=False)
    average_gradients: Callable[[], None] = field(init=False)

    def __post_init__(self) -> None:
        self.planned_epochs = self.stage.epochs
        # Once: walking through all layers in every step takes longer than the head's forward pass.
        self.norms = batch_norms(self.model)
        learning = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self.average_gradients = self.ranks.averaging(learning)

    @property
    def lineage_stage(self) -> int:
        """The stage's number in its lineage, from 0: no two stages of a lineage draw the same random numbers."""
        return self.stages_before + self.number

    @property
    def learning_norms(self) -> list[nn.Module]:
        """Layers that normalise by the batch in their present mode."""
        return [module for module in self.norms if module.training]

    @property
    def min_micro_batch(self) -> int:
        """Fewest images of a part of a batch: batch norm in training mode needs two."""
        return 2 if self.learning_norms else 1

    def set_epochs(self, epochs: int) -> None:
        """Change how many epochs the stage has; rate and momentum go on from where they are. Between two epochs."""
        step = self.cursor.epoch * self.steps_per_epoch
        self.pace = Pace(step, self.pace.at(step, self.stage.epochs * self.steps_per_epoch))
        self.stage = self.stage.model_copy(update={"epochs": epochs})

    def learning_at(self, step: int) -> tuple[float, float]:
        """Set rate and momentum for a step of the stage; returns the head's rate and the momentum."""
        return set_rates(
            self.optimizer,
            self.stage,
            layer_groups=len(self.model.layer_groups()),
            progress=self.pace.at(step, self.stage.epochs * self.steps_per_epoch),
            factor=self.backoff.factor,
        )


class NotFinite(Exception):
    """A loss, gradient, weight or answer is NaN or infinite; the training must go back."""
