"""The heavy check, for shortcuts, beside the web process's requests: one at a time, remembered by what it read."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import structlog

from backend.datasets.health.shortcuts import Shortcut

log = structlog.get_logger()

_REMEMBERED: Final = 32
Found = tuple[Shortcut, ...]


class Failed:
    """The check failed, which is a fault of ours: it says nothing about the dataset."""


def _attempted(compute: Callable[[], Found]) -> Found | Failed:
    try:
        return compute()
    except Exception:  # whatever it is: the other checks are still shown
        log.exception("health_check_failed")
        return Failed()


class Background:
    """Computes an answer for each key once; whoever asks meanwhile gets None."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="health")
        self._answers: OrderedDict[tuple[str, ...], Future[Found | Failed]] = OrderedDict()

    def answer(self, key: tuple[str, ...], compute: Callable[[], Found]) -> Found | Failed | None:
        """What ``compute`` gave for this key; None while it is being computed.

        Args:
            key: the dataset, then what its answer depends on. Of one dataset one answer is remembered or computed at
                a time: while pictures are coming, each question has another key.
        """
        with self._lock:
            if (known := self._answers.get(key)) is None:
                for earlier in [other for other in self._answers if other[0] == key[0]]:
                    if not self._answers[earlier].done() and not self._answers[earlier].cancel():
                        return None
                    del self._answers[earlier]
                known = self._answers[key] = self._threads.submit(_attempted, compute)
                while len(self._answers) > _REMEMBERED:
                    self._answers.popitem(last=False)
            self._answers.move_to_end(key)
        return known.result() if known.done() else None

    def wait_for_all(self) -> None:
        """Wait for every answer that was asked for; for tests."""
        with self._lock:
            asked = [*self._answers.values()]
        for answer in asked:
            answer.result()


SHORTCUTS: Final = Background()
"""Of this process."""
