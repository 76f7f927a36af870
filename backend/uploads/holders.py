"""Which request brings the bytes of which upload. One that is stuck gives way to the next; one that moves doesn't."""

import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import anyio

from backend.uploads.errors import UploadBusy

JUDGED_AFTER_S: Final = 5.0
"""A request is judged by what it brought in so many seconds."""
LEAST_BYTES: Final = 64 << 10
"""What brings less in that time is stuck: its sender is gone, or hardly moves."""
_RELEASED_WITHIN_S: Final = 10.0
_TOGETHER_S: Final = 0.25
"""Bytes that come within so many seconds are counted as one arrival."""


class TakenOver(Exception):
    """Another request has taken the upload over, because nothing came by this one."""


class Hold:
    """A request's hold on an upload, and how its bytes come."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._begun_at = monotonic()
        self._arrivals: deque[tuple[float, int]] = deque()
        self._waiting: anyio.CancelScope | None = None
        self._is_dropped = False
        self.released = anyio.Event()

    @property
    def is_stuck(self) -> bool:
        """Whether it waits for bytes of which hardly any come."""
        now = self._monotonic()
        self._forget_arrivals(now)
        is_slow = now - self._begun_at >= JUDGED_AFTER_S and sum(size for _, size in self._arrivals) < LEAST_BYTES
        return self._waiting is not None and is_slow

    def drop(self) -> None:
        """Have the request end with what it has brought."""
        self._is_dropped = True
        if self._waiting is not None:
            self._waiting.cancel()

    async def watched(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """``chunks``, until the hold is dropped. Raises TakenOver."""
        while True:
            chunk: bytes | None = None
            with anyio.CancelScope() as scope:
                self._waiting = scope
                if not self._is_dropped:
                    chunk = await anext(chunks, None)
            self._waiting = None
            if self._is_dropped:
                raise TakenOver
            if chunk is None:
                return
            self._count(len(chunk))
            yield chunk

    def _count(self, size: int) -> None:
        now = self._monotonic()
        if self._arrivals and now - self._arrivals[-1][0] < _TOGETHER_S:
            since, before = self._arrivals.pop()
            self._arrivals.append((since, before + size))
        else:
            self._arrivals.append((now, size))
            self._forget_arrivals(now)

    def _forget_arrivals(self, now: float) -> None:
        while self._arrivals and now - self._arrivals[0][0] >= JUDGED_AFTER_S:
            self._arrivals.popleft()


class Holders:
    """The requests of this process that hold an upload. To be used in its event loop only."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._held: dict[str, Hold] = {}

    @asynccontextmanager
    async def hold(self, upload_id: str) -> AsyncIterator[Hold]:
        """Hold an upload; whoever holds it and is stuck is dropped first.

        Raises:
            UploadBusy: another request brings bytes.
        """
        if (other := self._held.get(upload_id)) is not None:
            if not other.is_stuck:
                raise UploadBusy(round(JUDGED_AFTER_S))
            other.drop()
            with anyio.move_on_after(_RELEASED_WITHIN_S):
                await other.released.wait()
        if upload_id in self._held:
            raise UploadBusy(round(JUDGED_AFTER_S))
        mine = self._held[upload_id] = Hold(self._monotonic)
        try:
            yield mine
        finally:
            del self._held[upload_id]
            mine.released.set()
