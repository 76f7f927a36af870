"""A stage of a training from its beginning to its checkpoint."""

from dataclasses import replace

from backend.domain.early_end import is_far_behind
from backend.domain.events import EpochsChanged, Note, NoteTopic, StageCutShort, StageStarted
from backend.domain.results import Evaluation
from worker.engine.hardware.devices import fewer_threads
from worker.engine.hardware.memory import PartialUpdate
from worker.engine.loop import best, evaluation
from worker.engine.loop.compiled import compile_where_it_pays
from worker.engine.loop.context import Training
from worker.engine.loop.epoch import run_epoch, save_where_unsaved, validate
from worker.engine.loop.lr_finder import find_rate
from worker.engine.loop.rollback import Rollback
from worker.engine.loop.run import NotFinite, StageRun
from worker.engine.loop.state import State
from worker.engine.network.optim import set_learning
from worker.engine.order import StageResult, StatePoint
from worker.engine.parallel.ranks import ALONE
from worker.engine.stage.finish import finish_stage
from worker.engine.stage.setup import begin_stage


def run_stage(
    training: Training, number: int, resumed: State | None, *, before: StageResult | None = None
) -> StageResult:
    """Run a stage from its beginning, or from where it was interrupted, to its checkpoint.

    ``before`` is the result of the stage before it in this training; None for the first.

    Raises:
        Diverged: however often its rate was halved.
    """
    stage = training.order.config.stages[number]
    set_learning(training.model, stage)
    run, valid = begin_stage(training, number, stage)
    training.limits.stage = number
    if run.ranks.size == training.ranks.size:
        epoch, answered = learn(training, run, valid, resumed, before)
    else:
        epoch, answered = _learn_in_first(training, run, valid, resumed, before)
    before_finish_s = training.time.used_s
    result = finish_stage(training, run, answered, epoch, before)
    training.time.finish_s = training.time.used_s - before_finish_s
    return result


def learn(
    training: Training,
    run: StageRun,
    valid: evaluation.Answers,
    resumed: State | None,
    before: StageResult | None,
) -> tuple[int, Evaluation]:
    """Run the stage's epochs; the one whose weights the network then has, and its answers."""
    stage = training.order.config.stages[run.number]
    if resumed is not None:
        resumed.restore(run)
        run.stage = run.stage.with_rate(resumed.max_lr)
    elif stage.max_lr == "find":
        find_rate(training, run)
    compile_where_it_pays(training, run)
    training.on_event(
        StageStarted(
            run.number, stage.freeze, stage.epochs, run.cursor.epoch, run.steps_per_epoch, str(training.device)
        )
    )
    if run.stage.epochs != run.planned_epochs:
        training.on_event(EpochsChanged(run.number, run.stage.epochs, run.planned_epochs))
    with fewer_threads(run.device, are_steps_small=run.are_steps_small):
        epochs = _run_epochs(training, run, valid, before)
    return _settle(training, run, valid, epochs)


def _learn_in_first(
    training: Training,
    run: StageRun,
    valid: evaluation.Answers,
    resumed: State | None,
    before: StageResult | None,
) -> tuple[int, Evaluation]:
    """The same in the first process alone, for which the others wait; then all are as it is."""
    limits, backoff = training.limits, training.backoff

    def learn_here() -> tuple[int, Evaluation, list[StatePoint], int, tuple[float, int]]:
        epoch, answered = learn(replace(training, ranks=ALONE), run, valid, resumed, before)
        return epoch, answered, training.saved, limits.micro_batch, (backoff.factor, backoff.times)

    epoch, answered, training.saved[:], limits.micro_batch, (backoff.factor, backoff.times) = training.ranks.from_first(
        learn_here
    )
    training.ranks.copy_from_first(training.model)
    return epoch, answered


def _run_epochs(
    training: Training, run: StageRun, valid: evaluation.Answers, before: StageResult | None
) -> dict[int, Evaluation]:
    """Run what is left of the stage; the answers after its last epoch and after its best one, by epoch."""
    rollback = Rollback(training, run)
    answers: dict[int, Evaluation] = {}
    is_over = False
    while not is_over:
        wrong: NotFinite | PartialUpdate | None = None
        try:
            is_over = run.cursor.epoch >= run.stage.epochs or _is_cut_short(training, run, before)
            if is_over:
                save_where_unsaved(training, run)
            else:
                answered = run_epoch(training, run, valid)
                answers[run.cursor.epoch - 1] = answered
                rollback.note_epoch()
                _fit_into_time(training, run)
        except (NotFinite, PartialUpdate) as error:
            # Without its traceback, which holds the step's tensors.
            wrong = error.with_traceback(None)
            wrong.__cause__ = wrong.__context__ = None
        if wrong is not None:
            is_over, answers = False, {}
            rollback.take(wrong)
            continue
        wanted = {run.cursor.epoch - 1} | {one.epoch for one in run.bests[-1:]}
        answers = {epoch: answered for epoch, answered in answers.items() if epoch in wanted}
    return answers


def _fit_into_time(training: Training, run: StageRun) -> None:
    """Give the last stage as many of its planned epochs as there is time for; if that changes, it is reported."""
    if run.number + 1 < len(training.order.config.stages):
        return
    epochs = training.ranks.from_first(
        lambda: run.time.epochs_that_fit(run.cursor.epoch, run.stage.epochs, run.planned_epochs, run.epoch_seconds)
    )
    if epochs != run.stage.epochs:
        run.set_epochs(epochs)
        training.on_event(EpochsChanged(run.number, epochs, run.planned_epochs))


def _is_cut_short(training: Training, run: StageRun, before: StageResult | None) -> bool:
    """Whether the stage ends here, between two epochs; if so the reason is reported."""
    epoch, patience = run.cursor.epoch - 1, run.stage.early_stopping
    if epoch < 0 or run.cursor.step:
        return False
    if training.ranks.any(training.stop.finish_requested()):
        reason = f"Ended after epoch {epoch + 1} of {run.stage.epochs}, as requested"
    elif patience is not None and run.bests and epoch - run.bests[-1].epoch >= patience:
        reason = f"Ended early: {patience} epochs in a row were no better than epoch {run.bests[-1].epoch + 1}"
    elif _is_far_behind(run, before):
        reason = f"Ended early: after epoch {epoch + 1} of {run.stage.epochs} it was far behind the model before it"
    else:
        return False
    training.on_event(StageCutShort(run.number, epoch, reason))
    return True


def _is_far_behind(run: StageRun, before: StageResult | None) -> bool:
    if not run.stage.stop_if_worse or before is None or not run.bests:
        return False
    return is_far_behind(run.cursor.epoch / run.stage.epochs, run.bests[-1].error_rate, before.error_rate)


def _settle(
    training: Training, run: StageRun, valid: evaluation.Answers, answers: dict[int, Evaluation]
) -> tuple[int, Evaluation]:
    """Choose the epoch whose weights the stage ends with, and put them into the network; its answers."""
    epoch = run.cursor.epoch - 1
    if run.stage.keep_best and run.bests and run.bests[-1].epoch != epoch:
        kept, passed_over = best.load(training.order.state_folder, run.model, run.bests)
        for one in passed_over:
            text = f"The saved weights of epoch {one.epoch + 1} are damaged; using the best epoch before it"
            training.on_event(Note(NoteTopic.RESUME, text))
        epoch = kept.epoch if kept else epoch
    return epoch, answers[epoch] if epoch in answers else validate(training, run, valid, epoch)
