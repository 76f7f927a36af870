"""Going back to the last good state when a step has failed."""

from backend.domain.events import Note, NoteTopic, RolledBack
from worker.engine.errors import Diverged
from worker.engine.hardware.memory import PartialUpdate
from worker.engine.loop import state
from worker.engine.loop.context import Training
from worker.engine.loop.epoch import is_saved, save_state
from worker.engine.loop.run import NotFinite, StageRun
from worker.engine.loop.state import State
from worker.engine.order import StatePoint

TRIES = 2
"""How often a training goes back and halves its rates before it is given up."""


class Rollback:
    """The state that a stage goes back to: after its last epoch, on disk or in memory, or its beginning."""

    def __init__(self, training: Training, run: StageRun) -> None:
        self._training, self._run = training, run
        self._beginning = None if self._points() else state.remember(run)
        self._unsaved: State | None = None

    def note_epoch(self) -> None:
        """Keep the state after an epoch in memory if it isn't on disk: an epoch that is in the table isn't repeated."""
        self._unsaved = None if is_saved(self._training, self._run) else state.remember(self._run)

    def take(self, wrong: NotFinite | PartialUpdate) -> None:
        """Go back after a step that failed, and save that state: an interruption must not undo the halving.

        Raises:
            Diverged: there were enough tries.
            OutOfMemory: even the smallest part of a batch is too large.
        """
        run, training = self._run, self._training
        if isinstance(wrong, PartialUpdate):
            run.limits.halve(run.limits.batch_size, run.min_micro_batch)
        else:
            self._lower_rates()
        good = self._good()
        run.model.load_state_dict(good.model_tensors(), strict=False)
        good.restore(run)
        try:
            save_state(training, run)
        except NotFinite:
            raise diverged(run) from None

    def _lower_rates(self) -> None:
        run, cursor, backoff = self._run, self._run.cursor, self._run.backoff
        if backoff.times >= TRIES:
            raise diverged(run)
        backoff.halve()
        self._training.on_event(RolledBack(run.number, cursor.epoch, cursor.step, backoff.factor))
        share = {1: "half", 2: "a quarter of"}[backoff.times]
        text = (
            f"The loss became NaN or infinite in epoch {cursor.epoch + 1}, step {cursor.step + 1}. "
            f"Training continues from the last good state with {share} the learning rate."
        )
        self._training.on_event(Note(NoteTopic.ROLLBACK, text))

    def _good(self) -> State:
        if self._unsaved is not None:
            return self._unsaved
        order = self._training.order
        identity = state.order_hash(order.config, order.manifest)
        good, _ = state.newest(order.state_folder, self._points()[::-1], identity)
        if good is None:
            good = self._beginning
        if good is None:
            raise diverged(self._run)
        return good

    def _points(self) -> list[StatePoint]:
        return [point for point in self._training.saved if point.stage == self._run.number]


def diverged(run: StageRun) -> Diverged:
    """The error for losses or weights that are NaN or infinite."""
    peak = run.stage.peak
    return Diverged(run.number, run.cursor.epoch, run.cursor.step, peak[1] if isinstance(peak, tuple) else peak)
