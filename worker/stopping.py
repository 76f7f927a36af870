"""SIGTERM as the engine's stop signal; so is the end of the parent process."""

import os
import signal
from types import FrameType


class SignalStop:
    """Given once SIGTERM has come, or when the process that started us is gone."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._is_given = False
        signal.signal(signal.SIGTERM, self._give)

    def requested(self) -> bool:
        """Whether to stop now."""
        return self._is_given or os.getppid() != self._parent

    def _give(self, _number: int, _frame: FrameType | None) -> None:
        self._is_given = True
