"""How long the rest of an import may take, by what was done in the last seconds."""

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final

_WINDOW_S: Final = 20.0
_LEAST_S: Final = 2.0
"""Less than this says nothing yet."""


class Pace:
    """Notes how much is done; files or bytes, as the caller likes."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._marks: deque[tuple[float, int]] = deque()

    def note(self, done: int) -> None:
        """So much is done by now."""
        now = self._clock()
        self._marks.append((now, done))
        while len(self._marks) > 2 and self._marks[1][0] < now - _WINDOW_S:
            self._marks.popleft()

    def seconds_left(self, left: int) -> int | None:
        """Seconds for what is left at this pace; None where it isn't known yet."""
        if not self._marks:
            return None
        (began, before), (now, done) = self._marks[0], self._marks[-1]
        if now - began < _LEAST_S or done <= before:
            return None
        return round(left * (now - began) / (done - before))
