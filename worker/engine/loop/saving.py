"""When the state after an epoch is worth saving."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

SHARE: Final = 0.1
"""Share of a training's time that saving states after epochs may take.

An epoch of a frozen stage takes little more than saving its state; a kill then costs a few epochs, which are a second.
"""


_FIRST_S: Final = 0.1
"""What the first saving is taken to need: a head of the default network does."""


class SavingTime:
    """How long the last saving took and when it ended."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._took_s, self._ended_at = _FIRST_S, monotonic()

    def is_due(self) -> bool:
        """Whether saving now would take no more than its share."""
        return self._took_s <= SHARE * (self._monotonic() - self._ended_at)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure a saving, which the block does."""
        began_at = self._monotonic()
        yield
        self._ended_at = self._monotonic()
        self._took_s = self._ended_at - began_at
