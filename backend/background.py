"""Answers that take seconds: computed beside requests, one at a time, and remembered by what they read."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Final, Generic, TypeVar

import structlog

log = structlog.get_logger()

Found = TypeVar("Found")
_REMEMBERED: Final = 32


class Failed:
    """The computation failed, which is a fault of ours: it says nothing about what was asked."""


class Background(Generic[Found]):
    """Computes an answer for each key once; whoever asks meanwhile gets None. ``name`` is its name in the log."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._answers: OrderedDict[tuple[str, ...], Future[Found | Failed]] = OrderedDict()

    def answer(
        self, key: tuple[str, ...], compute: Callable[[], Found], *, wait_s: float = 0.0
    ) -> Found | Failed | None:
        """What ``compute`` gave for this key; None while it is being computed.

        Args:
            key: the subject, such as a dataset, then what its answer depends on. Of one subject one answer is
                remembered or computed at a time: while pictures are coming, each question has another key.
            wait_s: how long to wait for an answer that isn't there yet.
        """
        with self._lock:
            if (known := self._answers.get(key)) is None:
                for earlier in [other for other in self._answers if other[0] == key[0]]:
                    if not self._answers[earlier].done() and not self._answers[earlier].cancel():
                        return None
                    del self._answers[earlier]
                known = self._answers[key] = self._threads.submit(self._attempted, compute)
                while len(self._answers) > _REMEMBERED:
                    self._answers.popitem(last=False)
            self._answers.move_to_end(key)
        try:
            return known.result(wait_s)
        except (TimeoutError, CancelledError):  # the latter: somebody has asked with a newer key
            return None

    def wait_for_all(self) -> None:
        """Wait for every answer that was asked for; for tests."""
        with self._lock:
            asked = [*self._answers.values()]
        for answer in asked:
            answer.result()

    def _attempted(self, compute: Callable[[], Found]) -> Found | Failed:
        try:
            return compute()
        except Exception:  # whatever it is: all else is still shown
            log.exception("background_failed", what=self._name)
            return Failed()
