"""How far a run is and how long it will still take, from what it has told so far.

No time is given before it rests on something: on a finished epoch of the stage, or
on twenty steps of the first one. It may grow; it never pretends.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Final

from backend.domain.events import EpochFinished, Event, StageFinished, StageStarted, StepFinished
from backend.domain.training import TrainingConfig

_LAST_STEPS: Final = 20
_LAST_EPOCHS: Final = 3
_UNFROZEN_COST: Final = 3.0
"""An unfrozen epoch against a frozen one, until one has been measured: a pass forwards and two backwards."""
_NEVER_DONE: Final = 0.99
"""All steps may be done and the result still can't be opened; 1 is for a run that has succeeded."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run is. ``progress``: share of all steps in [0, 1]; ``eta_s`` is None where nothing is known yet."""

    stage: int | None = None
    epoch: int | None = None
    progress: float = 0.0
    eta_s: float | None = None


class Pace:
    """Follows a run's events."""

    def __init__(self, config: TrainingConfig, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._config, self._monotonic = config, monotonic
        self._stage: int | None = None
        self._epoch = 0
        self._share = 0.0
        self._steps_left = 0
        self._step_times: deque[float] = deque(maxlen=_LAST_STEPS)
        self._epoch_times: dict[int, deque[float]] = {}
        self._epoch_began = self._stepped_at = monotonic()
        self._after_steps: float | None = None
        self._after_stage = 0.0

    def see(self, event: Event) -> None:
        """Take in what happened."""
        match event:
            case StageStarted():
                self._stage, self._epoch = event.stage, event.first_epoch
                self._begin_epoch()
            case StepFinished():
                self._step(event)
            case EpochFinished():
                self._after_steps = self._monotonic() - self._stepped_at
                times = self._epoch_times.setdefault(event.stage, deque(maxlen=_LAST_EPOCHS))
                times.append(event.duration_s)
                self._epoch = event.epoch + 1
                self._begin_epoch()
            case StageFinished():
                self._after_stage = self._monotonic() - self._epoch_began
            case _:
                pass

    @property
    def standing(self) -> Standing:
        """How far the run is now."""
        if self._stage is None:
            return Standing()
        stages = self._config.stages
        done = sum(stage.epochs for stage in stages[: self._stage]) + self._epoch + self._share
        shown = min(self._epoch, stages[self._stage].epochs - 1)
        return Standing(self._stage, shown, min(done / self._config.epochs, _NEVER_DONE), self._seconds_left())

    def _begin_epoch(self) -> None:
        self._share = 0.0
        self._step_times.clear()
        self._epoch_began = self._stepped_at = self._monotonic()

    def _step(self, event: StepFinished) -> None:
        now = self._monotonic()
        in_stage = self._config.stages[event.stage].epochs
        per_epoch = max(1, event.steps // in_stage)
        in_epoch = event.step - event.epoch * per_epoch
        self._share = min(1.0, in_epoch / per_epoch)
        self._steps_left = per_epoch - in_epoch
        steps = max(1, len(event.losses))
        self._step_times.extend([(now - self._stepped_at) / steps] * min(steps, _LAST_STEPS))
        self._stepped_at = now

    def _seconds_left(self) -> float | None:
        assert self._stage is not None
        stage = self._config.stages[self._stage]
        whole = self._epoch_seconds()
        rest = self._rest_of_epoch(whole)
        if whole is None or rest is None:
            return None
        later = sum(
            ahead.epochs * whole * self._cost(number) / self._cost(self._stage) + self._after_stage
            for number, ahead in enumerate(self._config.stages)
            if number > self._stage
        )
        if self._epoch >= stage.epochs:
            return later
        return rest + (stage.epochs - self._epoch - 1) * whole + later

    def _epoch_seconds(self) -> float | None:
        """A whole epoch of this stage, testing included."""
        assert self._stage is not None
        if times := self._epoch_times.get(self._stage):
            return median(times)
        if len(self._step_times) < _LAST_STEPS:
            return None
        elapsed = self._monotonic() - self._epoch_began
        return elapsed + self._steps_left * median(self._step_times) + (self._after_steps or 0.0)

    def _rest_of_epoch(self, whole: float | None) -> float | None:
        if len(self._step_times) >= _LAST_STEPS:
            return self._steps_left * median(self._step_times) + (self._after_steps or 0.0)
        if whole is None:
            return None
        return max(0.0, whole - (self._monotonic() - self._epoch_began))

    def _cost(self, stage: int) -> float:
        if self._config.stages[stage].freeze:
            return 1.0
        return _UNFROZEN_COST
