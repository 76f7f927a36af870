"""The one follower of a training's events: from it come what is displayed, the stall time-out and the measurements."""

import math
import time
from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Final

from backend.domain.events import (
    Event,
    PhaseProgress,
    PhaseStarted,
    StageStarted,
    StepFinished,
    ValidationProgress,
)
from backend.domain.training import TrainingConfig
from backend.training.forecast.cursor import Measurement, WorkCursor, activity_of
from backend.training.forecast.eta import EtaEstimator, Standing, Timetable, usual_timetable
from backend.training.phases import phase_in_words

_STALLED_AFTER_STEPS: Final = 20
_LAST: Final = 50
_ENOUGH: Final = 3


class RunFollower:
    """Follows one attempt at a training.

    Attributes:
        measurements: of work items that were finished; whoever stores them takes them out.
    """

    def __init__(
        self,
        config: TrainingConfig,
        timetable: Timetable | None = None,
        *,
        earlier: Standing | None = None,
        finished_stages: int = 0,
        goes_on: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
        quiet: Callable[[], float] | None = None,
    ) -> None:
        """``earlier``: what an earlier attempt got to, below which nothing that is displayed falls.

        ``quiet``: a clock without the time that other programs take; by default there are none.
        """
        earlier = earlier or Standing()
        planned = timetable or usual_timetable(config)
        items = [item for item, _ in planned]
        self._stages, self._monotonic = config.stages, monotonic
        self._limit_s = math.inf if config.minutes is None else 60.0 * config.minutes
        self._cursor = WorkCursor(items, first_stage=finished_stages, goes_on=goes_on, monotonic=monotonic, quiet=quiet)
        self._eta = EtaEstimator(self._cursor, planned, progress=earlier.progress)
        self._earlier, self._furthest = earlier, self._index_of(earlier)
        self._phase: str | None = None
        self._device: str | None = None
        self._step_seconds: deque[float] = deque(maxlen=_LAST)
        self._seen_at = monotonic()
        self.measurements: list[Measurement] = []

    def see(self, event: Event) -> None:
        """Take in what happened."""
        now = self._monotonic()
        match event:
            case StepFinished(losses=losses):
                self._step_seconds.append((now - self._seen_at) / max(1, len(losses)))
                self._phase = None
            case StageStarted(device=device):
                self._phase, self._device = None, device
            case PhaseStarted() | PhaseProgress() | ValidationProgress():
                self._phase = phase_in_words(event)
            case _:
                pass
        self._seen_at = now
        self._cursor.see(event)
        self._update()

    @property
    def standing(self) -> Standing:
        """What is to be displayed of the run now."""
        self._update()
        stage, epoch = self._cursor.stage, self._cursor.epoch
        if stage is None:
            stage, epoch = self._earlier.stage, self._earlier.epoch
        if stage is not None:
            epoch = min(epoch or 0, self._stages[stage].epochs - 1)
        return Standing(
            stage=stage,
            epoch=epoch,
            progress=self._eta.progress,
            eta_s=self._seconds_left(),
            activity=self._activity(),
            phase=self._phase,
            device=self._device,
        )

    def _seconds_left(self) -> float | None:
        """Never more than the time limit: a slow first epoch says that fewer follow, not that they take longer."""
        left = self._eta.seconds_left()
        return None if left is None else min(left, self._limit_s)

    @property
    def stall_after_s(self) -> float | None:
        """How long the training may be silent: twenty times the usual step; None before there were any."""
        return _STALLED_AFTER_STEPS * median(self._step_seconds) if len(self._step_seconds) >= _ENOUGH else None

    def _update(self) -> None:
        finished, self._cursor.measurements = self._cursor.measurements, []
        self._eta.update(finished)
        self.measurements += finished

    def _activity(self) -> str | None:
        items = self._cursor.items
        index = min(max(self._cursor.index, self._furthest), len(items) - 1)
        return activity_of(items[index]) if items else None

    def _index_of(self, earlier: Standing) -> int:
        """Of the first work item of the part that an earlier attempt got to."""
        for index, item in enumerate(self._cursor.items):
            if item.stage in (None, earlier.stage) and activity_of(item) == earlier.activity:
                return index
        return 0
