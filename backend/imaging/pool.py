"""Decode what strangers sent in processes of their own: slow, greedy or crashing files cost only themselves."""

import atexit
import contextlib
import functools
import multiprocessing
import os
import resource
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, TypeVar

from pebble import ProcessExpired, ProcessPool

from backend.imaging.decoding import ImageFacts, UnreadableImage, decode
from backend.imaging.thumbnails import thumbnails

TIMEOUT_S: Final = 10.0
_MEMORY: Final = 2 << 30
"""Bytes of address space of a decoding process."""


@dataclass(frozen=True, slots=True)
class ReadImage:
    """What is kept of a readable image besides its bytes: facts, and WebP thumbnails by longest side."""

    facts: ImageFacts
    thumbnails: dict[int, bytes]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why an image can't be used: a code for programs, a reason for people."""

    code: str
    reason: str


def read_image(content: bytes) -> ReadImage | Refused:
    """Decode all pixels of an image and make it small; never raises for a bad one."""
    try:
        facts, image = decode(content)
        return ReadImage(facts, thumbnails(image))
    except UnreadableImage as refusal:
        return Refused(refusal.reason_code, refusal.message)
    except MemoryError:
        return Refused("image-too-large", "it needs more memory than there is")


Item = TypeVar("Item")


class DecodingPool:
    """A few decoding processes, started with the first image."""

    def __init__(
        self,
        workers: int | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        read: Callable[[bytes], ReadImage | Refused] = read_image,
    ) -> None:
        self._workers = workers or min(8, max(2, os.cpu_count() or 2))
        self._timeout_s = timeout_s
        self._read = read
        # Spawned, not forked: this process has threads, and a fork would copy their locks.
        self._pool = ProcessPool(
            max_workers=self._workers,
            max_tasks=2_000,
            initializer=_limit_memory,
            context=multiprocessing.get_context("spawn"),
        )

    def read_all(
        self, items: Iterable[Item], content: Callable[[Item], bytes | None]
    ) -> Iterator[tuple[Item, ReadImage | Refused]]:
        """Every item with what was read, in order; a few are decoded ahead, so memory stays flat.

        ``content`` gives None for an item that isn't to be decoded.
        """
        ahead: deque[tuple[Item, Future[ReadImage | Refused]]] = deque()
        for item in items:
            ahead.append((item, self._schedule(content(item))))
            if len(ahead) > 2 * self._workers:
                yield _next(ahead)
        while ahead:
            yield _next(ahead)

    def close(self) -> None:
        """End the processes."""
        self._pool.stop()  # type: ignore[no-untyped-call]  # pebble has half of its types
        self._pool.join()

    def _schedule(self, content: bytes | None) -> "Future[ReadImage | Refused]":
        if content is None:
            skipped: Future[ReadImage | Refused] = Future()
            skipped.set_result(Refused("image-not-read", "it wasn't read"))
            return skipped
        future: Future[ReadImage | Refused] = self._pool.schedule(self._read, args=(content,), timeout=self._timeout_s)
        return future


@functools.cache
def decoding_pool() -> DecodingPool:
    """The one of this process; processes are too dear to have several."""
    pool = DecodingPool()
    # Else Python complains, in the window of whoever pressed Ctrl-C, of what the pool's processes left open.
    atexit.register(pool.close)
    return pool


def _next(
    ahead: "deque[tuple[Item, Future[ReadImage | Refused]]]",
) -> tuple[Item, ReadImage | Refused]:
    item, future = ahead.popleft()
    try:
        return item, future.result()
    except TimeoutError:
        return item, Refused("image-too-slow", "it takes too long to decode")
    except ProcessExpired:
        return item, Refused("image-crashed-decoder", "broken: it crashes the program that reads pictures")


def _limit_memory() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
