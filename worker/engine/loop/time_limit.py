"""The time within which a training is to end, and how many epochs of a stage fit into it."""

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Final

from backend.domain.training import TrainingConfig

_MINUTE_S: Final = 60.0
_LAST_EPOCHS: Final = 3
_ENOUGH: Final = 2
"""Measured epochs before anything is changed: the first one alone may have waited for processes to start."""
_WORTH_MORE: Final = 0.1
"""Share of the epochs to come by which there must be room for more, so that a stage isn't planned anew all the time."""


class TimeLimit:
    """How long a training has worked, in all its attempts, and how long it may.

    Attributes:
        limit_s: seconds of work within which it is to end; None is any number.
        finish_s: what checkpoint and export of the stage before took; 0 before the first.
    """

    def __init__(self, limit_s: float | None = None, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.limit_s, self.finish_s = limit_s, 0.0
        self._monotonic, self._used_s, self._began_at = monotonic, 0.0, monotonic()

    @classmethod
    def of(cls, config: TrainingConfig) -> "TimeLimit":
        """Of a training that begins now."""
        return cls(None if config.minutes is None else config.minutes * _MINUTE_S)

    @property
    def used_s(self) -> float:
        """Seconds of work so far, without the time between attempts."""
        return self._used_s + self._monotonic() - self._began_at

    def add(self, used_s: float, finish_s: float) -> None:
        """Take over what earlier attempts have used."""
        self._used_s, self.finish_s = self._used_s + used_s, finish_s

    def epochs_that_fit(self, done: int, current: int, planned: int, epoch_seconds: Sequence[float]) -> int:
        """How many epochs a stage should have in all.

        One more is always left, in which the learning rate comes down; so it may end later by as much as that takes.

        Args:
            done: epochs that are over.
            current: how many it is to have by now.
            planned: how many it was to have at first, and has at most.
            epoch_seconds: what its last epochs took, the newest last.
        """
        if self.limit_s is None or done >= current or len(epoch_seconds) < _ENOUGH:
            return current
        left_s = self.limit_s - self.used_s - self.finish_s
        fitting = done + max(1, int(left_s / max(median(epoch_seconds[-_LAST_EPOCHS:]), 1e-9)))
        if current <= fitting < current + _WORTH_MORE * (current - done):
            return current
        return min(planned, fitting)
