"""The learning-rate search: growing rates on real batches, then everything as it was.

Source: Smith, "Cyclical Learning Rates", arXiv:1506.01186, as fastai 2 does it (``LRFinder``): all
layer groups take the same rate, momentum stays at Adam's default, the smoothed loss is noted after each
step. Where there are fewer batches than steps, the epochs repeat.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import count, islice
from typing import Final

import torch
from torch import Tensor, nn

from backend.domain.events import Phase, PhaseProgress, PhaseStarted, RateFound
from backend.domain.lr_finder import BURST, FEWEST_STEPS, STEPS, Curve, Finding, curve_of, finding, rate_at
from worker.engine.hardware.devices import fewer_threads
from worker.engine.loop.context import Training
from worker.engine.loop.run import Batches, SmoothedLoss, StageRun
from worker.engine.loop.step import take_step
from worker.engine.loop.train import seed_of
from worker.engine.network.optim import build_optimizer, set_training_mode
from worker.engine.order import Stopped
from worker.engine.parallel.ranks import Ranks, Share, share_of
from worker.engine.throttle import Throttle

SEEDS: Final = 3
BAND_WITHIN_S: Final = 180.0
"""Further tries are made only while they and those before are thought to end within so long."""
_EPOCHS_APART: Final = 1000
"""Each seed takes orders and random views of epochs that no stage has."""


def find_rate(training: Training, run: StageRun) -> None:
    """Search the stage's learning rate before its first step, and give it to the run."""
    cheap = run.stage.features_are_constant or run.device.type == "cuda"
    curve, found = search(training, run, seeds=SEEDS if cheap else 1)
    training.on_event(
        RateFound(run.number, found.max_lr, curve.learning_rates, curve.losses, asdict(found.suggestions))
    )
    run.stage = run.stage.with_rate(found.max_lr)


def search(
    training: Training, run: StageRun, *, steps: int = STEPS, seeds: int = SEEDS, within_s: float = math.inf
) -> tuple[Curve, Finding]:
    """Search a rate for the stage's run; network, optimizer and random numbers are then as before.

    After the first try, another is made only where all are thought to end within ``within_s`` seconds.

    Raises:
        Stopped: between two steps.
    """
    steps = max(FEWEST_STEPS, steps)
    report = _report(training, steps * seeds)
    training.on_event(PhaseStarted(Phase.RATE, "Learning-rate finder running"))
    recorded: list[list[float]] = []
    begun = time.monotonic()
    for seed in range(seeds):
        if run.ranks.first_says(bool(seed) and (time.monotonic() - begun) * (seed + 1) / seed > within_s):
            break
        with (
            restored_afterwards(run.model, run.device),
            fewer_threads(run.device, are_steps_small=run.are_steps_small),
        ):
            torch.manual_seed(seed_of(training.order.config.seed, run.lineage_stage, seed))
            recorded.append(_record(training, run, seed, steps, report))
    curve = curve_of(recorded, steps)
    stage = run.stage
    images = len(training.images.train)
    return curve, finding(curve, freeze=stage.freeze, has_learnt=run.lineage_stage > 0, images=images)


@contextmanager
def restored_afterwards(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Restore weights, buffers, modes and random numbers after the block, whatever happens in it."""
    before = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    modes = [(module, module.training) for module in model.modules()]
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        model.load_state_dict(before)
        for module, is_training in modes:
            module.training = is_training
        for parameter in model.parameters():
            parameter.grad = None


def _record(training: Training, run: StageRun, seed: int, steps: int, report: Callable[[int], None]) -> list[float]:
    """Smoothed losses of steps with growing rates, up to the first that is far above the lowest or not finite."""
    config = training.order.config
    optimizer = build_optimizer(run.model, run.stage, config)
    scaler = torch.amp.GradScaler(run.device.type, enabled=run.scaler.is_enabled())
    trial = replace(run, optimizer=optimizer, scaler=scaler)
    smoothed, losses = SmoothedLoss(), list[float]()
    for step, (inputs, targets, share) in enumerate(islice(_endless_batches(run.batches, run.ranks, seed), steps)):
        if run.ranks.any(training.stop.requested()):
            raise Stopped
        losses.append(_try_rate(trial, rate_at(step, steps), inputs, targets, share, smoothed))
        report(seed * steps + step + 1)
        if math.isnan(losses[-1]):
            # fastai continues to the end with NaN losses; they count alike when the curve is cut.
            return losses + [math.nan] * (steps - len(losses))
        if losses[-1] > BURST * min(losses):
            break
    return losses


def _try_rate(
    trial: StageRun, rate: float, inputs: Tensor, targets: Tensor, share: Share, smoothed: SmoothedLoss
) -> float:
    # Each time: making the batch may have run the network in evaluation mode.
    set_training_mode(trial.model, trial.stage)
    for group in trial.optimizer.param_groups:
        group["lr"] = rate
    smoothed.add(float(take_step(trial, inputs, targets, None, share)))
    return smoothed.value


def _endless_batches(batches: Batches, ranks: Ranks, seed: int) -> Iterator[tuple[Tensor, Tensor, Share]]:
    """Batches without end, epoch after epoch, and this process's share of each; none where an epoch has none."""
    for epoch in count(_EPOCHS_APART * (seed + 1)):
        is_empty = True
        for inputs, targets in batches.of(epoch):
            rows = len(targets)
            share = share_of(ranks, ranks.numbers(lambda rows=rows: (rows,)))  # type: ignore[misc]
            # Batch norm can't learn from a single image.
            if share.total > 1:
                is_empty = False
                yield inputs, targets, share
        if is_empty:
            return


def _report(training: Training, total: int) -> Callable[[int], None]:
    throttle = Throttle()

    def report(done: int) -> None:
        if throttle.due() or done == total:
            training.on_event(PhaseProgress(Phase.RATE, done, total))

    return report
