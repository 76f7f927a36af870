"""A stage of a training from its beginning to its checkpoint."""

from dataclasses import replace

from backend.domain.events import StageStarted
from worker.engine.beginning import begin_stage
from worker.engine.ending import finish_stage
from worker.engine.epoch import run_epoch, validate
from worker.engine.lr_finder import with_rate_found
from worker.engine.optim import set_learning
from worker.engine.order import StageResult
from worker.engine.state import State
from worker.engine.training import Training


def run_stage(training: Training, number: int, resumed: State | None) -> StageResult:
    """Run a stage from its beginning, or from where it was interrupted, to its checkpoint."""
    stage = training.order.config.stages[number]
    set_learning(training.model, stage)
    run, valid = begin_stage(training, number, stage)
    first_epoch = 0
    if resumed is not None:
        resumed.restore(run)
        first_epoch = resumed.epoch + 1
        run = replace(run, stage=stage.with_rate(resumed.max_lr))
    elif stage.max_lr == "find":
        run = with_rate_found(training, run)
    training.on_event(
        StageStarted(number, stage.freeze, stage.epochs, first_epoch, run.steps_per_epoch, str(training.device))
    )
    latest = None
    for epoch in range(first_epoch, stage.epochs):
        latest = run_epoch(training, run, valid, epoch)
    return finish_stage(training, run, latest or validate(training, run, valid, stage.epochs - 1))
