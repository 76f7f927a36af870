"""SIGTERM as the engine's stop signal; so is the end of the parent process. SIGUSR1 asks for an end after the epoch."""

import os
import signal
from types import FrameType
from typing import Final

REQUESTS: Final = frozenset({signal.SIGTERM, signal.SIGUSR1, signal.SIGQUIT})
"""To stop, to finish, and to write down where one is stuck: what is asked of a process that trains."""


class SignalStop:
    """Given once SIGTERM has come, or when the process that started us is gone."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._is_given = self._is_to_finish = False
        signal.signal(signal.SIGTERM, self._give)
        signal.signal(signal.SIGUSR1, self._finish)

    def requested(self) -> bool:
        """Whether to stop now."""
        return self._is_given or os.getppid() != self._parent

    def finish_requested(self) -> bool:
        """Whether to end well after this epoch."""
        return self._is_to_finish

    def _finish(self, _number: int, _frame: FrameType | None) -> None:
        self._is_to_finish = True

    def _give(self, _number: int, _frame: FrameType | None) -> None:
        self._is_given = True
