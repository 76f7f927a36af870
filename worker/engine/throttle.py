"""How often to report progress."""

import time
from typing import Final

REPORT_EVERY_S: Final = 0.5


class Throttle:
    """Limits reports to about two a second."""

    def __init__(self) -> None:
        self._reported_at = time.monotonic()

    def due(self) -> bool:
        """Whether to report now; counts as reported then."""
        now = time.monotonic()
        if now - self._reported_at < REPORT_EVERY_S:
            return False
        self._reported_at = now
        return True
