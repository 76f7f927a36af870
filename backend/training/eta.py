"""How far a run is and how long it will still take, from what it has told so far.

One bar, weighted by what epochs cost and not by their number: where a frozen backbone
stands still, its first epochs take nearly all the time. No time is given before it
rests on something: on an epoch, on twenty steps, or on a tenth of a pass through the
frozen backbone. It may grow; it never pretends.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Final

from backend.domain.events import EpochFinished, Event, PhaseProgress, StageFinished, StageStarted, StepFinished
from backend.domain.training import TrainingConfig
from backend.training.cost import epoch_cost, stage_cost

_LAST_STEPS: Final = 20
_LAST_EPOCHS: Final = 3
_ENOUGH_OF_A_PASS: Final = 0.1
_WHOLE: Final = 1.0
"""Epochs that cost at least this tell how long a unit takes; the head alone is over too soon to."""
_NEVER_DONE: Final = 0.99
"""All steps may be done and the result still can't be opened; 1 is for a run that has succeeded."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run is. ``progress``: share of its cost in [0, 1]; ``eta_s`` is None where nothing is known yet."""

    stage: int | None = None
    epoch: int | None = None
    progress: float = 0.0
    eta_s: float | None = None


class Pace:
    """Follows a run's events."""

    def __init__(self, config: TrainingConfig, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._stages, self._monotonic = config.stages, monotonic
        self._whole_cost = sum(stage_cost(stage) for stage in config.stages)
        self._stage: int | None = None
        self._epoch = 0
        self._share = 0.0
        self._steps_left = 0
        self._step_times: deque[float] = deque(maxlen=_LAST_STEPS)
        self._unit_times: dict[bool, deque[float]] = {}
        self._epoch_began = self._stepped_at = monotonic()
        self._passing = False
        self._after_steps = 0.0
        self._after_stage = 0.0

    def see(self, event: Event) -> None:
        """Take in what happened."""
        match event:
            case StageStarted():
                self._stage, self._epoch = event.stage, event.first_epoch
                self._begin_epoch()
            case PhaseProgress(phase="features") if self._stage is not None:
                self._share, self._passing = event.done / event.total, True
            case StepFinished():
                self._step(event)
            case EpochFinished():
                self._end_epoch(event)
            case StageFinished():
                self._after_stage = self._monotonic() - self._epoch_began
            case _:
                pass

    @property
    def standing(self) -> Standing:
        """How far the run is now."""
        if self._stage is None:
            return Standing()
        shown = min(self._epoch, self._stages[self._stage].epochs - 1)
        done = 1 - self._cost_left() / self._whole_cost
        return Standing(self._stage, shown, min(done, _NEVER_DONE), self._seconds_left())

    def _begin_epoch(self) -> None:
        self._share, self._passing = 0.0, False
        self._step_times.clear()
        self._epoch_began = self._stepped_at = self._monotonic()

    def _end_epoch(self, event: EpochFinished) -> None:
        self._after_steps = self._monotonic() - self._stepped_at
        stage = self._stages[event.stage]
        if (cost := epoch_cost(stage, event.epoch)) >= _WHOLE:
            times = self._unit_times.setdefault(stage.freeze, deque(maxlen=_LAST_EPOCHS))
            times.append(event.duration_s / cost)
        self._epoch = event.epoch + 1
        self._begin_epoch()

    def _step(self, event: StepFinished) -> None:
        now = self._monotonic()
        per_epoch = max(1, event.steps // self._stages[event.stage].epochs)
        in_epoch = event.step - event.epoch * per_epoch
        steps = max(1, len(event.losses))
        # After a pass through the frozen backbone the head's steps are the small rest of the epoch.
        if not self._passing:
            self._share = min(1.0, in_epoch / per_epoch)
            self._steps_left = per_epoch - in_epoch
            self._step_times.extend([(now - self._stepped_at) / steps] * min(steps, _LAST_STEPS))
        self._stepped_at = now

    def _cost_left(self) -> float:
        assert self._stage is not None
        stage = self._stages[self._stage]
        left = sum(stage_cost(later) for later in self._stages[self._stage + 1 :])
        left += sum(epoch_cost(stage, epoch) for epoch in range(self._epoch, stage.epochs))
        if self._epoch < stage.epochs:
            left -= self._share * epoch_cost(stage, self._epoch)
        return left

    def _seconds_left(self) -> float | None:
        assert self._stage is not None
        unit = self._unit_seconds()
        if unit is None:
            return None
        stage = self._stages[self._stage]
        later_stages = self._stages[self._stage + 1 :]
        later = sum(unit * stage_cost(one) + self._after_stage for one in later_stages)
        if self._epoch >= stage.epochs:
            return later
        later += unit * sum(epoch_cost(stage, epoch) for epoch in range(self._epoch + 1, stage.epochs))
        return self._rest_of_epoch(unit * epoch_cost(stage, self._epoch)) + later

    def _unit_seconds(self) -> float | None:
        """How long a unit of cost takes: by epochs like this one, by this epoch so far, or by the other kind."""
        assert self._stage is not None
        stage = self._stages[self._stage]
        if times := self._unit_times.get(stage.freeze):
            return median(times)
        elapsed = self._monotonic() - self._epoch_began
        cost = epoch_cost(stage, min(self._epoch, stage.epochs - 1))
        if self._steps_are_known:
            return (elapsed + self._steps_left * median(self._step_times) + self._after_steps) / cost
        if self._passing and self._share >= _ENOUGH_OF_A_PASS:
            return elapsed / self._share / cost
        other = self._unit_times.get(not stage.freeze)
        return median(other) if other else None

    @property
    def _steps_are_known(self) -> bool:
        return len(self._step_times) >= _LAST_STEPS

    def _rest_of_epoch(self, whole: float) -> float:
        if self._steps_are_known:
            return self._steps_left * median(self._step_times) + self._after_steps
        return max(0.0, whole - (self._monotonic() - self._epoch_began))
