"""The training loop: steps, epochs, and what they report."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW

from backend.domain.events import OnEvent, StepFinished
from backend.domain.training import Stage
from worker.engine.architectures import Classifier
from worker.engine.best import Best
from worker.engine.memory import Room, TornStep, is_out_of_memory
from worker.engine.optim import batch_norms, set_rates, set_training_mode
from worker.engine.order import Stopped, StopSignal
from worker.engine.pace import Pace

_SMOOTHING: Final = 0.98
"""Source: fastai ``Recorder`` beta."""

MAX_OVERFLOWS: Final = 20
"""Steps in a row that float16 may overflow while its scale is sought."""

SAVE_EVERY_S: Final = 600.0
"""Work that a kill may cost in a long epoch."""


class Batches(Protocol):
    """Training batches, epoch by epoch."""

    def of(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs of the forward pass and (N,) targets, on the device, from a step on.

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
class Place:
    """Where a stage goes on: at ``step`` of ``epoch``, both from 0, ``elapsed_s`` seconds into that epoch."""

    epoch: int = 0
    step: int = 0
    elapsed_s: float = 0.0


@dataclass(slots=True)
class Brake:
    """What divergence has done to the rates of a training: they are multiplied by ``factor``."""

    factor: float = 1.0
    times: int = 0

    def pull(self) -> None:
        """Halve the rates once more."""
        self.factor /= 2
        self.times += 1


@dataclass(slots=True)
class KeptBackbone:
    """The file that holds the backbone of a stage in which it stands still; without a name before the first save."""

    file: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class StageRun:
    """All that the steps of one stage need.

    Attributes:
        forward: from a batch's inputs to (N, K) logits: the whole network, or the head where inputs are features.
        autocast: number format of the forward pass; None is float32.
        scaler: keeps the small gradients of float16; disabled otherwise.
        room: how many images fit into memory at once.
        seed: of the training; each step begins its own random numbers from it.
        criterion: what the loss is.
        brake: what divergence has done to the rates.
        loss: smoothed over the stage.
        place: where it is.
        bests: its best epochs so far, the best last.
        kept_backbone: where its backbone is kept.
        norms: all batch norm layers.
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
    room: Room
    seed: int = 0
    criterion: Criterion = field(default_factory=Criterion)
    brake: Brake = field(default_factory=Brake)
    loss: SmoothedLoss = field(default_factory=SmoothedLoss)
    place: Place = field(default_factory=Place)
    bests: list[Best] = field(default_factory=list)
    kept_backbone: KeptBackbone = field(default_factory=KeptBackbone)
    norms: list[nn.Module] = field(init=False)

    def __post_init__(self) -> None:
        # Looked for once: walking through all layers in every step takes longer than the head's forward pass.
        object.__setattr__(self, "norms", batch_norms(self.model))

    @property
    def learning_norms(self) -> list[nn.Module]:
        """Layers that normalise by the batch at the moment."""
        return [module for module in self.norms if module.training]

    @property
    def fewest_at_once(self) -> int:
        """Images that must be learnt from at once: batch norm in training can't tell anything from one."""
        return 2 if self.learning_norms else 1

    def learning_at(self, step: int) -> tuple[float, float]:
        """Set rate and momentum for a step of the stage; returns the head's rate and the momentum."""
        return set_rates(
            self.optimizer,
            self.stage,
            layer_groups=len(self.model.layer_groups()),
            progress=step / (self.stage.epochs * self.steps_per_epoch),
            factor=self.brake.factor,
        )


def train_one_epoch(
    run: StageRun, *, on_event: OnEvent, stop: StopSignal, save: Callable[[], None] = lambda: None
) -> float:
    """Run the steps of an epoch that are still to do; returns the head's last learning rate.

    Each step begins its own random numbers from (seed, stage, epoch, step): so nothing but
    the place must be known to go on from it, on any device, or to repeat a step.
    ``save`` is called every ten minutes, between two steps.

    Raises:
        Stopped: between two steps; ``run.place`` says before which.
        NotFinite: a loss or gradient is no number, or float16 overflows without end.
    """
    report, guard, place = _StepReport(run, on_event), Guard(run), run.place
    saved_at = time.monotonic()
    # Modes are set when the network isn't in training: a new one or another stage's must not pass for this one's.
    run.model.eval()
    for inputs, targets in _from_here(run, stop):
        if stop.requested():
            report.send(guard)
            raise Stopped
        # Here and not before the loop: making a batch may have run the network in evaluation mode.
        if not run.model.training:
            set_training_mode(run.model, run.stage)
        step = place.epoch * run.steps_per_epoch + place.step
        rate, momentum = run.learning_at(step)
        # Batch norm can't learn from a single image.
        if len(targets) > 1:
            torch.manual_seed(seed_of(run.seed, run.number, place.epoch, place.step))
            report.add(step + 1, take_step(run, inputs, targets, guard), len(targets), rate, momentum)
        place.step += 1
        report.send_if_due(guard)
        if time.monotonic() - saved_at > SAVE_EVERY_S:
            report.send(guard)
            save()
            saved_at = time.monotonic()
    report.send(guard)
    return run.learning_at((place.epoch + 1) * run.steps_per_epoch - 1)[0]


def seed_of(*parts: int) -> int:
    """A seed that only these numbers decide; near ones give unlike seeds."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _from_here(run: StageRun, stop: StopSignal) -> Iterator[tuple[Tensor, Tensor]]:
    """The epoch's batches from the present step on."""
    batches = run.batches.of(run.place.epoch, run.place.step)
    while True:
        try:
            batch = next(batches, None)
        except (RuntimeError, MemoryError) as error:
            # A stop sent to the whole process group may end a loader process before this one has seen it.
            if stop.requested():
                raise Stopped from error
            if not is_out_of_memory(error):
                raise
            batch = None
        else:
            if batch is None:
                return
            yield batch
            continue
        run.room.halve(min(run.room.batch_size, run.room.micro_batch), run.fewest_at_once)
        batches = run.batches.of(run.place.epoch, run.place.step)


def take_step(run: StageRun, inputs: Tensor, targets: Tensor, guard: "Guard | None" = None) -> Tensor:
    """One optimizer update; returns its loss, a scalar still on the device.

    Where the memory is too small the batch is worked off in smaller parts. A guard
    is asked before weights change.

    Raises:
        TornStep: the memory ended while weights were being changed.
        NotFinite: the guard says so; no weight has changed.
    """
    loss = gradients(run, inputs, targets)
    if guard is not None:
        run.scaler.unscale_(run.optimizer)
        guard.see(loss, total_norm(run.optimizer))
        guard.hold_back(run.optimizer)
    try:
        run.scaler.step(run.optimizer)
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise TornStep from error
        raise
    run.scaler.update()
    return loss


def gradients(run: StageRun, inputs: Tensor, targets: Tensor) -> Tensor:
    """Put the batch's gradients into the parameters; returns its loss.

    Parts of a batch count by their images, so that they add up to the whole. After
    a failed try random numbers and batch norm's statistics are put back first.
    """
    before = _Before(run)
    while True:
        fewest = run.fewest_at_once
        try:
            return _accumulated(run, inputs, targets, run.room.parts(len(targets), fewest))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        run.optimizer.zero_grad(set_to_none=True)
        run.room.halve(len(targets), fewest)
        before.restore()


def _accumulated(run: StageRun, inputs: Tensor, targets: Tensor, parts: int) -> Tensor:
    run.optimizer.zero_grad(set_to_none=True)
    losses = []
    for some, wanted in zip(inputs.tensor_split(parts), targets.tensor_split(parts), strict=True):
        with torch.autocast(run.device.type, dtype=run.autocast, enabled=run.autocast is not None):
            loss = run.criterion(run.forward(some).float(), wanted) / len(targets)
        run.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch's own
        losses.append(loss.detach())
    return torch.stack(losses).sum()


def total_norm(optimizer: AdamW) -> Tensor:
    """Length of all gradients together, a scalar still on the device."""
    gradients = [
        parameter.grad
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]
    return torch.nn.utils.get_total_norm(gradients)


class _Before:
    """Random numbers and batch norm's statistics as they were before a step was tried."""

    def __init__(self, run: StageRun) -> None:
        self._device = run.device
        self._random = torch.get_rng_state()
        self._random_cuda = torch.cuda.get_rng_state(run.device) if run.device.type == "cuda" else None
        self._buffers = [(buffer, buffer.clone()) for module in run.learning_norms for buffer in module.buffers()]

    def restore(self) -> None:
        torch.set_rng_state(self._random)
        if self._random_cuda is not None:
            torch.cuda.set_rng_state(self._random_cuda, self._device)
        for buffer, kept in self._buffers:
            buffer.copy_(kept)


class NotFinite(Exception):
    """A loss, gradient, weight or answer is no number; the training must go back."""


class Guard:
    """Says whether steps are sound.

    On a processor each step is looked at before it is taken. Looking stalls a GPU, so there
    it is remembered on the device, where the optimizer leaves out a bad step and all that
    follow; it is looked at before anything is told or saved.
    """

    def __init__(self, run: StageRun) -> None:
        self._looks_at_once = run.device.type == "cpu"
        self._may_overflow = run.scaler.is_enabled()
        self._is_bad = torch.zeros((), dtype=torch.bool, device=run.device)
        self._overflows = torch.zeros((), dtype=torch.int32, device=run.device)

    def see(self, loss: Tensor, norm: Tensor) -> None:
        """Take in a step's loss and the length of its gradient.

        Raises:
            NotFinite: on a processor.
        """
        is_bad, overflows = ~torch.isfinite(loss), ~torch.isfinite(norm)
        if self._may_overflow:
            # The scaler leaves such a step out and scales less; only without end is it a bad sign.
            self._overflows = torch.where(overflows, self._overflows + 1, 0)
            overflows = self._overflows > MAX_OVERFLOWS
        self._is_bad = self._is_bad | is_bad | overflows
        if self._looks_at_once:
            self.look()

    def hold_back(self, optimizer: AdamW) -> None:
        """Make the optimizer leave its next step out if one so far was bad; the scaler of float16 has its own way."""
        if not self._looks_at_once and not self._may_overflow:
            optimizer.found_inf = self._is_bad.float()  # type: ignore[attr-defined]  # as torch's GradScaler does

    def look(self) -> None:
        """Whether all steps so far were sound.

        Raises:
            NotFinite: one wasn't.
        """
        if bool(self._is_bad):
            raise NotFinite


class _StepReport:
    """Collects the losses of steps and reads them back at most twice a second: each reading stalls a GPU."""

    def __init__(self, run: StageRun, on_event: OnEvent) -> None:
        self._run, self._on_event = run, on_event
        self._losses: list[Tensor] = []
        self._images = 0
        self._sent_at = time.monotonic()
        self._pace = Pace()

    def add(self, step: int, loss: Tensor, images: int, rate: float, momentum: float) -> None:
        self._losses.append(loss)
        self._images += images
        self._last = (step, rate, momentum)

    def send_if_due(self, guard: Guard) -> None:
        if self._pace.due():
            self.send(guard)

    def send(self, guard: Guard) -> None:
        if not self._losses:
            return
        guard.look()
        losses, images = torch.stack(self._losses).tolist(), self._images
        # Forgotten before they are told: whoever listens may raise, and they must not count twice.
        self._losses, self._images = [], 0
        for loss in losses:
            self._run.loss.add(loss)
        now = time.monotonic()
        seconds, self._sent_at = max(now - self._sent_at, 1e-9), now
        step, rate, momentum = self._last
        self._on_event(
            StepFinished(
                stage=self._run.number,
                epoch=self._run.place.epoch,
                step=step,
                steps=self._run.stage.epochs * self._run.steps_per_epoch,
                losses=tuple(losses),
                learning_rate=rate,
                momentum=momentum,
                images_per_s=images / seconds,
            )
        )
