"""Where a training is among its planned work items, from the engine's events.

One cursor for progress, time left, timeline, stall time-out and the measurements that later forecasts rest on.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from backend.domain.events import (
    EpochFinished,
    EpochsChanged,
    Event,
    Phase,
    PhaseProgress,
    PhaseStarted,
    StageFinished,
    StageStarted,
    StepFinished,
    ValidationProgress,
)
from backend.training.forecast.work import LEARNING, Work, WorkItem

LAST_STEPS: Final = 20
_WITHOUT_PROGRESS: Final = frozenset({Work.START, Work.PREPARE, Work.EXPORT})
"""Work of which nothing is reported between its beginning and its end."""
_COUNTED: Final = frozenset({Work.READ, Work.FEATURES})
"""Work whose events count the very units of its item."""


class Activity(StrEnum):
    """A part of a training as people see it; several work items may belong to one."""

    START = "start"
    READ = "data"
    FEATURES = "features"
    ACTIVATIONS = "activations"
    SEARCH = "rate"
    LEARN = "learn"
    EVALUATE = "evaluation"
    EXPORT = "export"


_ACTIVITY_OF: Final = {
    Work.START: Activity.START,
    Work.READ: Activity.READ,
    Work.PREPARE: Activity.FEATURES,
    Work.FEATURES: Activity.FEATURES,
    Work.BELOW: Activity.ACTIVATIONS,
    Work.ANSWER: Activity.EVALUATE,
    Work.EXPORT: Activity.EXPORT,
}


def activity_of(item: WorkItem) -> Activity:
    """The part of the training that a work item belongs to."""
    if item.is_search:
        return Activity.SEARCH
    return Activity.LEARN if item.epoch is not None else _ACTIVITY_OF[item.work]


@dataclass(frozen=True, slots=True)
class Measurement:
    """``share`` of the work item at ``index``, which is ``amount`` units of its kind, took ``seconds``.

    Attributes:
        quiet_seconds: what it would have taken had no other program used the processors.
        is_typical: its time tells how fast this machine is; not so with a download, or an epoch begun in the middle.
    """

    index: int
    item: WorkItem
    share: float
    amount: float
    seconds: float
    quiet_seconds: float
    is_typical: bool = True


class Instant(NamedTuple):
    """Seconds by the clock, and without those that other programs took."""

    clock: float
    quiet: float

    def plus(self, passed: "Instant") -> "Instant":
        """This much later."""
        return Instant(self.clock + passed.clock, self.quiet + passed.quiet)

    def since(self, earlier: "Instant") -> "Instant":
        """The time between both."""
        return Instant(self.clock - earlier.clock, self.quiet - earlier.quiet)


class WorkCursor:
    """Follows a training's events from work item to work item. What is passed over took no time.

    Attributes:
        index: of the item that is being worked on; the number of items once all are done.
        share: of that item that is done, in [0, 1].
        share_at_first: of that item that was done when it was first heard of.
        is_begun: whether an event has said that this item is being worked on.
        began_at: when that was.
        stage, epoch: that are displayed, from 0; None before the first work of a stage.
        steps_left: of the epoch under way.
        step_seconds: of the last training steps.
        measurements: of the items that were finished; whoever stores them takes them out.
        epochs: how many a stage has by now, where that isn't as planned.
    """

    def __init__(
        self,
        items: Sequence[WorkItem],
        *,
        first_stage: int = 0,
        goes_on: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        quiet: Callable[[], float] | None = None,
    ) -> None:
        """``first_stage``: those before it were finished by an earlier attempt; ``goes_on``: there was one.

        ``quiet``: a clock without the time that other programs take; by default there are none.
        """
        self.items = [item for item in items if item.stage is None or item.stage >= first_stage]
        self._goes_on, self._monotonic, self._quiet = goes_on, monotonic, quiet
        self.index, self.share, self.share_at_first, self.is_begun = 0, 0.0, 0.0, True
        self.stage: int | None = None
        self.epoch: int | None = None
        self.steps_left = 0
        self.step_seconds: deque[float] = deque(maxlen=LAST_STEPS)
        self.measurements: list[Measurement] = []
        self.epochs: dict[int, int] = {}
        self._done = 0.0
        self._done_at_first = 0.0
        self._is_typical = True
        self._paused_at: Instant | None = None
        self.began_at = self._stepped_at = self._now()

    @property
    def item(self) -> WorkItem | None:
        """What is being worked on; None once all is done."""
        return self.items[self.index] if self.index < len(self.items) else None

    @property
    def elapsed_s(self) -> float:
        """Since the present item began."""
        return self._monotonic() - self.began_at.clock

    @property
    def reports_progress(self) -> bool:
        """Whether the present item has reported how far it is, or will."""
        return self.share > 0 or (self.item is not None and self.item.work not in _WITHOUT_PROGRESS)

    def is_planned(self, item: WorkItem) -> bool:
        """Whether the item is still to be done or was done: not so with epochs for which there is no time."""
        if item.stage is None or item.epoch is None:
            return True
        return item.epoch < self.epochs.get(item.stage, item.epoch + 1)

    def see(self, event: Event) -> None:
        """Take in what happened."""
        self._end_pause()
        match event:
            case PhaseStarted():
                self._begin_phase(event)
            case PhaseProgress():
                self._progress(event)
            case StageStarted():
                self._begin_stage(event)
            case StepFinished():
                self._step(event)
            case ValidationProgress():
                if self._go_to({Work.ANSWER}, epoch=event.epoch):
                    self.share = event.done / event.total
            case EpochFinished():
                self._finish_epoch(event)
            case EpochsChanged():
                self.epochs[event.stage] = event.epochs
            case StageFinished():
                self.share = 1.0
                self._pass(lambda item: (item.stage or 0) <= event.stage)
            case _:
                pass

    def _begin_phase(self, event: PhaseStarted) -> None:
        match event.phase:
            case Phase.DATA:
                self._go_to({Work.READ}, begins=True)
            case Phase.FEATURES:
                self._go_to({Work.PREPARE}, begins=True)
            case Phase.ACTIVATIONS:
                self._go_to({Work.BELOW}, begins=True)
            case Phase.EVALUATION:
                self._go_to({Work.ANSWER}, epoch=None, begins=True)
            case Phase.EXPORT:
                self._go_to({Work.EXPORT}, epoch=None, begins=True)
            case Phase.COMPILE:
                # No work item: it comes once, and its time says nothing of the item around it.
                self._paused_at = self._now()
            case _:
                pass

    def _progress(self, event: PhaseProgress) -> None:
        share = event.done / event.total
        item = self.item
        match event.phase:
            case Phase.WEIGHTS:
                # How long a download takes says nothing of the machine, and it comes once.
                self._is_typical = False
            case Phase.RATE:
                if self._go_to(LEARNING, is_search=True):
                    self.share = share
            case Phase.FEATURES if self._go_to({Work.FEATURES}):
                if item is not self.item:
                    self.share_at_first, self._done_at_first = share, event.done
                self._pass_through(event, share)
            case Phase.ACTIVATIONS if item and item.work is Work.BELOW:
                self._pass_through(event, share)
            case Phase.DATA if item and item.work is Work.READ:
                self._pass_through(event, share)
            case Phase.EVALUATION if item and item.work is Work.ANSWER:
                self._pass_through(event, share)
            case _:
                pass

    def _pass_through(self, event: PhaseProgress, share: float) -> None:
        self.share, self._done = share, event.done
        if share >= 1:
            self._move_to(self.index + 1)

    def _begin_stage(self, event: StageStarted) -> None:
        self.stage, self.epoch = event.stage, event.first_epoch
        for index, item in enumerate(self.items):
            if item.stage == event.stage and item.epoch is not None and item.epoch >= event.first_epoch:
                # Not back to where the search for a rate has been already.
                self._move_to(max(index, self.index))
                self._begin_now()
                return

    def _step(self, event: StepFinished) -> None:
        if not self._go_to(LEARNING, epoch=event.epoch):
            return
        now = self._now()
        epochs = 1 + max(item.epoch for item in self.items if item.stage == event.stage and item.epoch is not None)
        per_epoch = max(1, event.steps // epochs)
        in_epoch = event.step - event.epoch * per_epoch
        steps = max(1, len(event.losses))
        self.share = max(self.share, min(1.0, in_epoch / per_epoch))
        self.steps_left = max(0, per_epoch - in_epoch)
        self.step_seconds.extend([now.since(self._stepped_at).clock / steps] * min(steps, LAST_STEPS))
        self._stepped_at = now

    def _finish_epoch(self, event: EpochFinished) -> None:
        self.epoch = event.epoch + 1
        item = self.item
        if item is not None and (item.stage, item.epoch) == (event.stage, event.epoch):
            # An attempt that goes on may have begun in the middle of its first epoch.
            self._is_typical, self._goes_on = not self._goes_on, False
            self.is_begun, self.share = True, 1.0
            is_typical = self._is_typical
            if item.work in LEARNING and self._go_to({Work.ANSWER}, epoch=event.epoch):
                # Answers that were there at once were never heard of; they began after the last step.
                self._is_typical, self.share = is_typical, 1.0
        self._pass(lambda one: one.stage == event.stage and one.epoch == event.epoch)

    def _go_to(
        self, works: Collection[Work], *, epoch: int | None = -1, is_search: bool = False, begins: bool = False
    ) -> bool:
        """Turn to the present or next such item of this stage; whether there is one. ``epoch`` -1 is any.

        ``begins``: it begins with this event; else it has begun where the one before ended.
        """
        here = self.item.stage if self.item else None
        for index in range(self.index, len(self.items)):
            item = self.items[index]
            if here is not None and item.stage != here:
                return False
            if item.work in works and item.is_search == is_search and epoch in (-1, item.epoch):
                self._move_to(index)
                if begins:
                    self._begin_now()
                self.is_begun = True
                return True
        return False

    def _pass(self, is_over: Callable[[WorkItem], bool]) -> None:
        """Turn to what comes after the last item that is over."""
        over = [index for index, item in enumerate(self.items) if is_over(item)]
        if over:
            self._move_to(max(self.index, over[-1] + 1))

    def _begin_now(self) -> None:
        if not self.is_begun:
            self.is_begun = True
            self.began_at = self._stepped_at = self._now()

    def _move_to(self, index: int) -> None:
        if index == self.index:
            return
        item, now = self.items[self.index], self._now()
        follows = self.items[index] if index < len(self.items) else None
        if follows is not None and follows.work is Work.ANSWER and item.work in LEARNING and not item.is_search:
            # Answers are first heard of when some are there; they began after the last step.
            now, self.share = self._stepped_at, 1.0
        self._measure(item, now)
        self.index, self.share, self.share_at_first, self.is_begun = index, 0.0, 0.0, False
        self._done, self._done_at_first, self._is_typical = 0.0, 0.0, True
        self.step_seconds.clear()
        self.began_at = self._stepped_at = now
        if self.item is not None and self.item.stage not in (None, self.stage):
            self.stage, self.epoch = self.item.stage, 0

    def _measure(self, item: WorkItem, now: Instant) -> None:
        seen = (1.0 if item.work in _WITHOUT_PROGRESS else self.share) - self.share_at_first
        if not self.is_begun or seen <= 0:
            return
        amount = self._done - self._done_at_first if item.work in _COUNTED else item.amount * seen
        seconds, quiet_seconds = now.since(self.began_at)
        is_typical = self._is_typical and quiet_seconds > 0 and amount > 0
        self.measurements.append(Measurement(self.index, item, seen, amount, seconds, quiet_seconds, is_typical))

    def _end_pause(self) -> None:
        if self._paused_at is not None:
            away = self._now().since(self._paused_at)
            self.began_at, self._stepped_at = self.began_at.plus(away), self._stepped_at.plus(away)
            self._paused_at = None

    def _now(self) -> Instant:
        clock = self._monotonic()
        return Instant(clock, clock if self._quiet is None else self._quiet())
