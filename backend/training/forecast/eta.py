"""How far a run is and how long it will still take, from where its cursor is.

One bar, weighted by the seconds that each work item is forecast to take. What has been measured corrects the
forecast of what is left while the run goes on: the rest of the bar is dealt out anew, so that it never jumps and
never goes back. No time is given before it rests on something of this run: on an epoch, on twenty steps, or on
a tenth of a pass through the frozen backbone.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from backend.domain.training import TrainingConfig
from backend.training.forecast.cursor import LAST_STEPS, Measurement, WorkCursor
from backend.training.forecast.work import LEARNING, Counts, Work, WorkItem, usual_seconds, work_items

_LAST_ITEMS: Final = 3
_ENOUGH_OF_A_PASS: Final = 0.1
_HEAVY: Final = frozenset({Work.FEATURES, Work.BELOW, Work.NORMS, Work.MOVE})
"""Work that tells how this run goes; the rest is over too soon, or is done once."""
_APART: Final = frozenset({Work.START, Work.READ, Work.PREPARE, Work.EXPORT})
"""Work whose time says nothing of how fast the network is, nor the other way round."""
_NEVER_DONE: Final = 0.99
"""All steps may be done and the result still can't be opened; 1 is for a run that has succeeded."""
_AS_FORECAST: Final = 0.8
"""Share of a silent item up to which the bar follows the clock as forecast; after it the bar slows down."""
_SOME: Final = Counts(100, 25, 0)

Timetable = Sequence[tuple[WorkItem, float]]
"""A run's work items, first to last, each with the seconds that it is forecast to take."""


def usual_timetable(config: TrainingConfig, counts: Counts = _SOME) -> Timetable:
    """A run's work items with what they take on a machine that nobody has measured: good as weights only."""
    return [(item, usual_seconds(item, config.architecture)) for item in work_items(config, counts)]


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a run is; what is displayed of it.

    Attributes:
        progress: share of its time in [0, 1].
        eta_s: seconds that are left; None where nothing is known yet.
        activity: the part that is under way (``cursor.Activity``); None before the first.
        phase: what is being done outside the training steps, in words; None while there are steps.
        device: the device in use; None until that is known.
    """

    stage: int | None = None
    epoch: int | None = None
    progress: float = 0.0
    eta_s: float | None = None
    activity: str | None = None
    phase: str | None = None
    device: str | None = None

    @property
    def shown(self) -> dict[str, Any]:  # Any: column values
        """The columns of the run; a device that isn't known yet stays as it is."""
        values = asdict(self)
        return values if self.device is not None else {key: values[key] for key in values if key != "device"}


class EtaEstimator:
    """Reads progress and time left off a cursor. ``progress``: from an earlier attempt, below which it never falls."""

    def __init__(self, cursor: WorkCursor, timetable: Timetable, *, progress: float = 0.0) -> None:
        forecast = dict(timetable)
        self._cursor = cursor
        self._forecast = [forecast[item] for item in cursor.items]
        self._ratios: dict[Work, deque[float]] = {}
        self._measured = 0
        self._progress = progress
        self._index, self._share = cursor.index, 0.0

    def update(self, measurements: Sequence[Measurement]) -> None:
        """Move the bar by what was done since the last call; ``measurements``: of items finished since then."""
        for one in measurements:
            forecast = self._forecast[one.index] * one.share
            if one.is_typical and forecast > 0:
                known = self._ratios.setdefault(one.item.work, deque(maxlen=_LAST_ITEMS))
                known.append(one.seconds / forecast)
        ratios = self._known_ratios()
        corrected = [
            seconds * self._ratio(item.work, ratios) * self._cursor.is_planned(item)
            for item, seconds in zip(self._cursor.items, self._forecast, strict=True)
        ]
        finished = {one.index for one in measurements}
        share = self._share_now(ratios)
        done = self._done_since(corrected, finished, share)
        self._index, self._share = self._cursor.index, share
        left = sum(corrected[self._index + 1 :])
        if self._index < len(corrected):
            left += (1 - share) * corrected[self._index]
        if done > 0:
            self._progress += (1 - self._progress) * done / (done + left)

    @property
    def progress(self) -> float:
        """Share of the run's time that has passed, in [0, 1); it never falls."""
        return min(self._progress, _NEVER_DONE)

    def seconds_left(self) -> float | None:
        """What is left of this item, and of the others as they have gone so far; None without a ground for it."""
        cursor = self._cursor
        if cursor.item is None:
            return 0.0
        forecast = self._forecast[cursor.index]
        left = self._left_by_measure(cursor.item)
        ratios = self._known_ratios()
        if left is not None and forecast > 0 and cursor.item.work in _HEAVY:
            ratios.setdefault(cursor.item.work, (cursor.elapsed_s + left) / forecast)
        if not any(work in _HEAVY for work in ratios):
            return None
        if left is None:
            left = max(0.0, forecast * self._ratio(cursor.item.work, ratios) - cursor.elapsed_s)
        later = zip(cursor.items[cursor.index + 1 :], self._forecast[cursor.index + 1 :], strict=True)
        return left + sum(
            seconds * self._ratio(item.work, ratios) for item, seconds in later if cursor.is_planned(item)
        )

    def _done_since(self, corrected: Sequence[float], finished: set[int], share: float) -> float:
        """Corrected seconds of the work that was done since the last call; what was passed over counts nothing."""
        if self._index == self._cursor.index:
            return max(0.0, share - self._share) * corrected[self._index] if self._index < len(corrected) else 0.0
        done = sum(seconds for index, seconds in enumerate(corrected) if index in finished and index > self._index)
        if self._index in finished:
            done += (1 - self._share) * corrected[self._index]
        return done + (share * corrected[self._cursor.index] if self._cursor.index < len(corrected) else 0.0)

    def _share_now(self, ratios: dict[Work, float]) -> float:
        """Share of the present item that is done: as reported, else by the clock."""
        cursor = self._cursor
        if cursor.item is None or not cursor.is_begun:
            return 0.0
        if cursor.reports_progress:
            return cursor.share
        expected = self._forecast[cursor.index] * self._ratio(cursor.item.work, ratios)
        return _share_by_clock(cursor.elapsed_s / expected) if expected > 0 else 0.0

    def _known_ratios(self) -> dict[Work, float]:
        """How many times longer than forecast each kind of work has taken in this run."""
        return {work: median(known) for work, known in self._ratios.items()}

    @staticmethod
    def _ratio(work: Work, ratios: dict[Work, float]) -> float:
        heavy = [ratio for known, ratio in ratios.items() if known in _HEAVY]
        usual = median(heavy) if heavy else 1.0
        return ratios.get(work, 1.0 if work in _APART else usual)

    def _left_by_measure(self, item: WorkItem) -> float | None:
        """Seconds that are left of the item under way, by what it has taken so far."""
        cursor = self._cursor
        if item.work in LEARNING and not item.is_search:
            enough = len(cursor.step_seconds) >= LAST_STEPS
            return cursor.steps_left * median(cursor.step_seconds) if enough else None
        seen = cursor.share - cursor.share_at_first
        return cursor.elapsed_s / seen * (1 - cursor.share) if seen >= _ENOUGH_OF_A_PASS else None


def _share_by_clock(times: float) -> float:
    """Share of an item that reports nothing, after ``times`` the time that it was forecast to take; never 1."""
    if times <= _AS_FORECAST:
        return times
    return 1 - (1 - _AS_FORECAST) * math.exp(-(times - _AS_FORECAST) / (1 - _AS_FORECAST))
