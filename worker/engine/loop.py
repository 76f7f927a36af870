"""The training loop: steps, epochs, and what they report."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import AdamW

from backend.domain.events import OnEvent, StepFinished
from backend.domain.training import Stage
from worker.engine.architectures import Classifier
from worker.engine.errors import Diverged
from worker.engine.optim import set_rates, set_training_mode
from worker.engine.order import Stopped, StopSignal
from worker.engine.pace import Pace

_SMOOTHING: Final = 0.98
"""Source: fastai ``Recorder`` beta."""


class Batches(Protocol):
    """Training batches, epoch by epoch."""

    def of(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs of the forward pass and (N,) targets, on the device."""
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
class StageRun:
    """All that the steps of one stage need.

    Attributes:
        forward: from a batch's inputs to (N, K) logits: the whole network, or the head where inputs are features.
        autocast: number format of the forward pass; None is float32.
        scaler: keeps the small gradients of float16; disabled otherwise.
        loss: smoothed over the stage.
    """

    number: int
    stage: Stage
    model: Classifier
    forward: Callable[[Tensor], Tensor]
    batches: Batches
    optimizer: AdamW
    steps_per_epoch: int
    device: torch.device
    autocast: torch.dtype | None
    scaler: torch.amp.GradScaler
    loss: SmoothedLoss = field(default_factory=SmoothedLoss)


def train_one_epoch(run: StageRun, epoch: int, *, on_event: OnEvent, stop: StopSignal) -> float:
    """Run one epoch of optimizer steps; returns the head's last learning rate.

    Raises:
        Stopped: between two steps.
        Diverged: the loss is no longer a finite number.
    """
    report = _StepReport(run, epoch, on_event)
    layer_groups = len(run.model.layer_groups())
    steps = run.stage.epochs * run.steps_per_epoch
    rate = math.nan
    for i, (inputs, targets) in enumerate(run.batches.of(epoch)):
        if stop.requested():
            raise Stopped
        # Here and not before the loop: making the first batch may have run the network in evaluation mode.
        set_training_mode(run.model, run.stage)
        step = epoch * run.steps_per_epoch + i
        rate, momentum = set_rates(run.optimizer, run.stage, layer_groups=layer_groups, progress=step / steps)
        loss = take_step(run, inputs, targets)
        report.add(step + 1, loss, len(targets), rate, momentum)
    report.send()
    return rate


def take_step(run: StageRun, inputs: Tensor, targets: Tensor) -> Tensor:
    """One optimizer update; returns its loss, a scalar still on the device."""
    with torch.autocast(run.device.type, dtype=run.autocast, enabled=run.autocast is not None):
        loss = F.cross_entropy(run.forward(inputs).float(), targets)
    run.optimizer.zero_grad(set_to_none=True)
    run.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch's own
    run.scaler.step(run.optimizer)
    run.scaler.update()
    return loss.detach()


class _StepReport:
    """Collects the losses of steps and reads them back at most twice a second: each reading stalls a GPU."""

    def __init__(self, run: StageRun, epoch: int, on_event: OnEvent) -> None:
        self._run, self._epoch, self._on_event = run, epoch, on_event
        self._losses: list[Tensor] = []
        self._images = 0
        self._sent_at = time.monotonic()
        self._pace = Pace()

    def add(self, step: int, loss: Tensor, images: int, rate: float, momentum: float) -> None:
        self._losses.append(loss)
        self._images += images
        self._last = (step, rate, momentum)
        if self._pace.due():
            self.send()

    def send(self) -> None:
        if not self._losses:
            return
        losses = torch.stack(self._losses).tolist()
        if not all(math.isfinite(loss) for loss in losses):
            raise diverged(self._run, self._epoch)
        for loss in losses:
            self._run.loss.add(loss)
        now = time.monotonic()
        step, rate, momentum = self._last
        self._on_event(
            StepFinished(
                stage=self._run.number,
                epoch=self._epoch,
                step=step,
                steps=self._run.stage.epochs * self._run.steps_per_epoch,
                losses=tuple(losses),
                learning_rate=rate,
                momentum=momentum,
                images_per_s=self._images / max(now - self._sent_at, 1e-9),
            )
        )
        self._losses, self._images, self._sent_at = [], 0, now


def diverged(run: StageRun, epoch: int) -> Diverged:
    """The error for losses or weights that are no longer numbers."""
    max_lr = run.stage.peak
    return Diverged(run.number, epoch, max_lr[1] if isinstance(max_lr, tuple) else max_lr)
