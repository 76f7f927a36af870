"""One epoch of a stage: train, validate, save."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple

import numpy as np

from backend.domain.events import EpochFinished, StateSaved, ValidationProgress
from backend.domain.results import Evaluation
from worker.engine.loop import best, evaluation, state
from worker.engine.loop.best import Best
from worker.engine.loop.context import Training
from worker.engine.loop.run import NotFinite, StageRun
from worker.engine.loop.train import train_one_epoch
from worker.engine.order import StatePoint, Stopped, StopSignal


def run_epoch(training: Training, run: StageRun, valid: evaluation.Answers) -> Evaluation:
    """Train and validate for what is left of the present epoch, and save the state after it where that is due.

    Raises:
        Stopped: what was done is saved, to go on from its last step.
        NotFinite: in a step, in the weights or in an answer.
    """
    cursor = run.cursor
    training.limits.epoch = cursor.epoch
    begun = time.monotonic() - cursor.elapsed_s

    def save() -> None:
        cursor.elapsed_s = time.monotonic() - begun
        save_state(training, run)

    try:
        learning_rate = train_one_epoch(run, on_event=training.on_event, stop=training.stop, save=save)
        with loader_stops_translated(training.stop):
            answered = validate(training, run, valid, cursor.epoch)
    except Stopped:
        cursor.elapsed_s = time.monotonic() - begun
        save_where_unsaved(training, run)
        raise
    finished = _finished(run, answered, learning_rate, time.monotonic() - begun)
    _note_best(training, run, finished)
    run.epoch_seconds.append(finished.duration_s)
    cursor.epoch, cursor.step, cursor.elapsed_s = cursor.epoch + 1, 0, 0.0
    if training.ranks.first_says(training.saving.is_due()):
        save_state(training, run, finished)
    else:
        training.ranks.from_first(lambda: _report_unsaved(training, run, finished))
    return answered


def _report_unsaved(training: Training, run: StageRun, finished: EpochFinished) -> None:
    state.require_finite(run)
    training.on_event(finished)


def validate(training: Training, run: StageRun, valid: evaluation.Answers, epoch: int) -> Evaluation:
    """What the network answers for the validation images after an epoch.

    Raises:
        NotFinite: an answer is NaN or infinite.
    """
    total = len(training.images.valid)
    watch = training.watch(lambda done: training.on_event(ValidationProgress(run.number, epoch, done, total)), total)
    answered = evaluation.evaluate(
        run.model,
        valid,
        training.images.valid,
        training.order.manifest.classes,
        on_batch=watch,
        ranks=training.ranks,
    )
    training.name_skipped()
    if not np.isfinite(answered.probabilities).all():
        raise NotFinite
    return answered


def save_state(training: Training, run: StageRun, finished: EpochFinished | None = None) -> None:
    """Save the run as it is, after the epoch that was finished with it if one was.

    Raises:
        NotFinite: a weight is NaN or infinite; nothing was saved.
        DiskFull: nothing was saved.
    """
    order = training.order

    def save() -> StatePoint:
        identity = state.order_hash(order.config, order.manifest)
        point, size_bytes = state.save(order.state_folder, run, identity, sorted(training.images.left_out))
        if finished is not None:
            # Side by side: the listener stores both in one transaction.
            training.on_event(finished)
        training.on_event(StateSaved(point.stage, point.epoch, point.step, point.file, point.sha256, size_bytes))
        return point

    with training.saving.measured():
        point = training.ranks.from_first(save)
    at = (point.stage, point.epoch, point.step)
    training.saved[:] = [one for one in training.saved if (one.stage, one.epoch, one.step) != at] + [point]
    # Only now that the listener knows the new state may older ones go.
    training.ranks.from_first(lambda: state.remove_others(order.state_folder, training.saved[-state.KEPT :]))


@contextmanager
def loader_stops_translated(stop: StopSignal) -> Iterator[None]:
    """A stop sent to the whole process group may end a loader process before this one has received it."""
    try:
        yield
    except RuntimeError as error:
        if stop.requested():
            raise Stopped from error
        raise


def save_where_unsaved(training: Training, run: StageRun) -> None:
    """Save the run as it is, unless its newest state is the same or it hasn't begun.

    Raises:
        NotFinite, DiskFull: as ``save_state`` does.
    """
    if not is_saved(training, run) and (run.cursor.epoch or run.cursor.step):
        save_state(training, run)


def is_saved(training: Training, run: StageRun) -> bool:
    """Whether the newest state on disk is the run as it is."""
    here = (run.number, run.cursor.epoch, run.cursor.step)
    return any((point.stage, point.epoch, point.step) == here for point in training.saved[-1:])


def _finished(run: StageRun, answered: Evaluation, learning_rate: float, duration_s: float) -> EpochFinished:
    error_rate = answered.errors / len(answered.targets)
    return EpochFinished(
        stage=run.number,
        epoch=run.cursor.epoch,
        train_loss=run.loss.value,
        valid_loss=float(answered.losses.mean()),
        error_rate=error_rate,
        accuracy=1 - error_rate,
        learning_rate=learning_rate,
        duration_s=duration_s,
    )


def _note_best(training: Training, run: StageRun, finished: EpochFinished) -> None:
    """Remember the epoch if it is the best so far, with its weights where the stage keeps the best."""
    this = Best(finished.epoch, finished.error_rate, finished.valid_loss)
    if run.bests and not this.is_better_than(run.bests[-1]):
        return
    if run.stage.keep_best:
        this = training.ranks.from_first(
            lambda: best.keep(training.order.state_folder, run.model, run.number, Best(*astuple(this)))
        )
    run.bests[:] = [*run.bests, this][-best.KEPT :]
