"""The training loop: steps, epochs, and what they report."""

import time
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import torch
from torch import Tensor

from backend.domain.events import OnEvent, StepFinished
from worker.engine.hardware.memory import is_out_of_memory
from worker.engine.loop.run import StageRun
from worker.engine.loop.step import Guard, take_step
from worker.engine.network.optim import set_training_mode
from worker.engine.order import Stopped, StopSignal
from worker.engine.parallel.ranks import Share, share_of
from worker.engine.throttle import Throttle

SAVE_EVERY_S: Final = 600.0
"""Seconds of work that a kill may cost in a long epoch."""


def train_one_epoch(
    run: StageRun, *, on_event: OnEvent, stop: StopSignal, save: Callable[[], None] = lambda: None
) -> float:
    """Run the steps of an epoch that are still to do; returns the head's last learning rate.

    Each step seeds its own random numbers from (seed, stage of the lineage, epoch, step): so
    nothing but the cursor must be known to continue from it, on any device, or to repeat a step.
    ``save`` is called every ten minutes, between two steps.

    Raises:
        Stopped: between two steps; ``run.cursor`` points to the next one.
        NotFinite: a loss or gradient is NaN or infinite, or float16 overflows in every step.
    """
    report, guard, cursor = _StepReport(run, on_event), Guard(run), run.cursor
    saved_at = time.monotonic()
    # Modes are set below where the network is not in training mode: those of another stage must not stay.
    run.model.eval()
    for inputs, targets, share, is_to_stop in _remaining_batches(run, stop):
        if is_to_stop:
            report.send(guard)
            raise Stopped
        # Here and not before the loop: making a batch may have run the network in evaluation mode.
        if not run.model.training:
            set_training_mode(run.model, run.stage)
        step = cursor.epoch * run.steps_per_epoch + cursor.step
        rate, momentum = run.learning_at(step)
        # Batch norm can't learn from a single image.
        if share.total > 1:
            _seed(run.device, seed_of(run.seed, run.lineage_stage, cursor.epoch, cursor.step))
            report.add(step + 1, take_step(run, inputs, targets, guard, share), share.total, rate, momentum)
        cursor.step += 1
        report.send_if_due(guard)
        if run.ranks.first_says(time.monotonic() - saved_at > SAVE_EVERY_S):
            report.send(guard)
            save()
            saved_at = time.monotonic()
    report.send(guard)
    return run.learning_at((cursor.epoch + 1) * run.steps_per_epoch - 1)[0]


def seed_of(*parts: int) -> int:
    """A seed that is a function of these numbers; neighbours give unrelated seeds."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _seed(device: torch.device, seed: int) -> None:
    if device.type == "cpu":
        # ``torch.manual_seed`` also prepares devices that aren't used, which takes a hundred times as long.
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


Batch = tuple[Tensor, Tensor]


def _remaining_batches(run: StageRun, stop: StopSignal) -> Iterator[tuple[Tensor, Tensor, Share, bool]]:
    """The epoch's batches from the present step on, this process's share of each, and whether to stop before it."""
    batches = run.batches.of(run.cursor.epoch, run.cursor.step)
    while True:
        got: list[Batch | None] = []
        facts = run.ranks.numbers(lambda batches=batches, got=got: _next(run, batches, got, stop))  # type: ignore[misc]
        if any(has_failed for _, has_failed, _, _ in facts):
            with run.ranks.agreeing():
                run.limits.halve(min(run.limits.batch_size, run.limits.micro_batch), run.min_micro_batch)
            batches = run.batches.of(run.cursor.epoch, run.cursor.step)
            continue
        if got[0] is None:
            return
        # One whose memory ran out while it fetched a batch decides for all how many images are computed at once.
        run.limits.micro_batch = min(micro_batch for _, _, micro_batch, _ in facts)
        yield *got[0], share_of(run.ranks, facts), any(is_to_stop for _, _, _, is_to_stop in facts)


def _next(
    run: StageRun, batches: Iterator[Batch], got: list[Batch | None], stop: StopSignal
) -> tuple[int, int, int, int]:
    """Fetch a batch into ``got``, None at the end; its rows, whether memory ran out, the micro batch, whether to stop.

    Raises:
        Stopped
    """
    try:
        batch = next(batches, None)
    except (RuntimeError, MemoryError) as error:
        # A stop sent to the whole process group may end a loader process before this one has received it.
        if stop.requested():
            raise Stopped from error
        if not is_out_of_memory(error):
            raise
        return 0, True, run.limits.micro_batch, False
    got.append(batch)
    return (0, False, 0, False) if batch is None else (len(batch[1]), False, run.limits.micro_batch, stop.requested())


class _StepReport:
    """Collects the losses of steps and reads them back at most twice a second: each reading stalls a GPU."""

    def __init__(self, run: StageRun, on_event: OnEvent) -> None:
        self._run, self._on_event = run, on_event
        self._losses: list[Tensor] = []
        self._images = 0
        self._sent_at = time.monotonic()
        self._throttle = Throttle()

    def add(self, step: int, loss: Tensor, images: int, rate: float, momentum: float) -> None:
        self._losses.append(loss)
        self._images += images
        self._last = (step, rate, momentum)

    def send_if_due(self, guard: Guard) -> None:
        # Together, since what was computed is checked before it is reported.
        if self._run.ranks.first_says(self._throttle.due()):
            self.send(guard)

    def send(self, guard: Guard) -> None:
        if not self._losses:
            return
        guard.check()
        losses, images = torch.stack(self._losses).tolist(), self._images
        # Cleared before they are reported: the listener may raise, and they must not count twice.
        self._losses, self._images = [], 0
        for loss in losses:
            self._run.loss.add(loss)
        now = time.monotonic()
        seconds, self._sent_at = max(now - self._sent_at, 1e-9), now
        step, rate, momentum = self._last
        self._on_event(
            StepFinished(
                stage=self._run.number,
                epoch=self._run.cursor.epoch,
                step=step,
                # As planned, also where the stage has fewer epochs by now: what is shown is on that scale.
                steps=self._run.planned_epochs * self._run.steps_per_epoch,
                losses=tuple(losses),
                learning_rate=rate,
                momentum=momentum,
                images_per_s=images / seconds,
            )
        )
