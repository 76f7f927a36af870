"""Bring several things at once, and hand them on in their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

THREADS: Final = 8
"""Things that are brought at once, and that wait in memory: each may have 100 MB."""

Thing = TypeVar("Thing")
Brought = TypeVar("Brought")


def in_order(
    bring: Callable[[Thing], Brought], things: Iterable[Thing], *, abort: Callable[[], None]
) -> Iterator[Brought]:
    """``bring`` of each thing, in the order of ``things``.

    ``abort`` is called at the end, also where nobody wants the rest: it makes what is under way return soon.
    """
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="bring")
    waiting: deque[Future[Brought]] = deque()
    try:
        for thing in things:
            waiting.append(pool.submit(bring, thing))
            if len(waiting) == THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        abort()
        pool.shutdown(cancel_futures=True)
