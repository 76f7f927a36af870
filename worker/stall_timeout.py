"""How long a training may be silent before somebody may think it stuck: by the time that its own steps take."""

import time
from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Final

from backend.domain.events import Event, StepFinished

_STEPS: Final = 20
_LAST: Final = 50
_ENOUGH: Final = 3


class StallTimeout:
    """Follows a training's events."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._times: deque[float] = deque(maxlen=_LAST)
        self._seen_at = monotonic()

    def see(self, event: Event) -> None:
        """Take in what happened."""
        now = self._monotonic()
        if isinstance(event, StepFinished):
            self._times.append((now - self._seen_at) / max(1, len(event.losses)))
        self._seen_at = now

    @property
    def stall_after_s(self) -> float | None:
        """Twenty times the usual step; None before there were any."""
        return _STEPS * median(self._times) if len(self._times) >= _ENOUGH else None
