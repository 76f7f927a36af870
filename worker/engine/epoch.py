"""One epoch of a stage: train, validate, save."""

import time

import numpy as np
import torch

from backend.domain.events import (
    EpochFinished,
    StateSaved,
    ValidationProgress,
)
from backend.domain.results import Evaluation
from worker.engine import evaluation, state
from worker.engine.loop import StageRun, diverged, train_one_epoch
from worker.engine.training import Training


def run_epoch(training: Training, run: StageRun, valid: evaluation.Answers, epoch: int) -> Evaluation:
    """Train and validate for one epoch, and save the state after it."""
    begun = time.monotonic()
    # Each epoch begins its own random numbers: a resumed run draws the same ones.
    torch.manual_seed(_seed_of(training.order.config.seed, run.number, epoch))
    learning_rate = train_one_epoch(run, epoch, on_event=training.on_event, stop=training.stop)
    if not state.is_finite(run):
        raise diverged(run, epoch)
    answered = validate(training, run, valid, epoch)
    error_rate = answered.errors / len(answered.targets)
    finished = EpochFinished(
        stage=run.number,
        epoch=epoch,
        train_loss=run.loss.value,
        valid_loss=float(answered.losses.mean()),
        error_rate=error_rate,
        accuracy=1 - error_rate,
        learning_rate=learning_rate,
        duration_s=time.monotonic() - begun,
    )
    _save_state(training, run, finished)
    return answered


def _seed_of(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def validate(training: Training, run: StageRun, valid: evaluation.Answers, epoch: int) -> Evaluation:
    """What the network answers for the validation images after an epoch."""
    total = len(training.images.valid)
    watch = training.watch(lambda done: training.on_event(ValidationProgress(run.number, epoch, done, total)), total)
    answered = evaluation.evaluate(
        run.model, valid, training.images.valid, training.order.manifest.classes, on_batch=watch
    )
    if not np.isfinite(answered.probabilities).all():
        raise diverged(run, epoch)
    return answered


def _save_state(training: Training, run: StageRun, finished: EpochFinished) -> None:
    order = training.order
    point, size_bytes = state.save(
        order.state_folder, run, finished.epoch, state.order_hash(order.config, order.manifest)
    )
    # Side by side: the listener stores both in one transaction.
    training.on_event(finished)
    training.on_event(StateSaved(point.stage, point.epoch, point.step, point.file, point.sha256, size_bytes))
    training.saved.append(point)
    # Only now that the listener knows the new state may older ones go.
    state.remove_others(order.state_folder, training.saved[-state.KEPT :])
