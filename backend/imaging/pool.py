"""Decode what strangers sent in processes of their own: slow, greedy or crashing files cost only themselves."""

import atexit
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import structlog
from pebble import ProcessExpired, ProcessPool

from backend.imaging.errors import DecodersBusy, DecodersDown, Refused
from backend.imaging.limits import LIMITS, Call, Limits, each_within_limits, limit_process

log = structlog.get_logger()

WAIT_S: Final = 20.0
"""How long a request waits for its turn before it is answered with 503."""
_UPLOAD_WAIT_S: Final = 600.0
_UNSTARTED_S: Final = 15.0
"""A picture that no process has begun by then, though one is idle, is evidence that the pool is broken."""
_PROBE_EVERY_S: Final = 20.0
_ATTEMPTS: Final = 3
_GROUP_BYTES: Final = 512 << 10
"""Bytes from which on a process gets no more with them."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Task(Generic[Answer]):
    """Calls on their way to one process, the pool that has them, and their answers to come."""

    calls: list[Call[Answer]]
    pool: ProcessPool
    answers: "Future[list[Answer | Refused]]"
    given_at: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class _Group(Generic[Item, Answer]):
    """Items in their order, and the task of those that are to be decoded."""

    items: list[tuple[Item, bool]]
    task: _Task[Answer] | None


class DecodingPool:
    """A few decoding processes, started with the first picture; a broken pool is replaced at once.

    Args:
        workers: processes; None for as many as the machine has processors, between 2 and 8.
        limits: what each picture may cost.
        wait_s: how long ``run`` waits for its turn.
    """

    def __init__(self, workers: int | None = None, *, limits: Limits = LIMITS, wait_s: float = WAIT_S) -> None:
        self._workers = workers or min(8, max(2, os.cpu_count() or 2))
        self._limits = limits
        self._wait_s = wait_s
        self._lock = threading.Lock()
        self._pool: ProcessPool | None = None
        # One upload takes half of the turns at most, so that predictions get theirs beside it.
        self._turns = threading.BoundedSemaphore(4 * self._workers)
        self._unfinished: set[Future[Any]] = set()  # those that have a turn
        self._probe: _Task[int] | None = None
        self._answered_at = float("-inf")
        self._is_down = False

    @property
    def unfinished(self) -> int:
        """Pictures that are being decoded or wait for a process."""
        return len(self._unfinished)

    def run(self, function: Callable[..., Answer], *arguments: object, wait_s: float | None = None) -> Answer | Refused:
        """``function(*arguments)`` in a decoding process; the function must be importable.

        ``wait_s``: how long it waits for its turn, where that is less than the pool's.

        Raises:
            DecodersBusy: it would have to wait too long.
            DecodersDown: no decoding process can be started.
        """
        task = self._schedule([(function, arguments)], self._wait_s if wait_s is None else wait_s)
        return self._answers(task)[0]

    def run_all(
        self,
        items: Iterable[Item],
        call: Callable[[Item], Call[Answer] | None],
        *,
        wait_s: float = _UPLOAD_WAIT_S,
        together: int = 1,
    ) -> Iterator[tuple[Item, Answer | Refused | None]]:
        """Every item with the answer of its call, in order; a few are decoded ahead, so memory stays flat.

        Args:
            items: what there is, as many as there are.
            call: gives a function with its arguments, or None for an item that isn't to be decoded.
            wait_s: how long it waits for a turn.
            together: how many small items a process gets at once. With many that are quickly decoded, handing over each
                alone takes longer than decoding it.

        Raises:
            DecodersBusy, DecodersDown: as ``run`` does.
        """
        ahead: deque[_Group[Item, Answer]] = deque()
        for called in _grouped(items, call, together):
            calls = [one for _, one in called if one is not None]
            task = self._schedule(calls, wait_s) if calls else None
            ahead.append(_Group([(item, one is not None) for item, one in called], task))
            if len(ahead) > 2 * self._workers:
                yield from self._answered(ahead.popleft())
        while ahead:
            yield from self._answered(ahead.popleft())

    def check(self) -> None:
        """For readiness: returns at once. A probe is sent to the processes now and then.

        Raises:
            DecodersDown: the last picture or probe got no answer though a process was idle, or none can be started.
        """
        if (probe := self._probe) is not None and probe.answers.done():
            self._probe = probe = None
        if probe is None and not self._unfinished and time.monotonic() - self._answered_at > _PROBE_EVERY_S:
            self._probe = probe = self._schedule([(abs, (-1,))], 0.0)
        if probe is not None and self._is_lost(probe):
            self._give_up(probe)
        if self._is_down:
            raise DecodersDown

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            _end(pool)

    def _schedule(self, calls: list[Call[Answer]], wait_s: float) -> _Task[Answer]:
        if not self._turns.acquire(timeout=wait_s):
            raise DecodersBusy
        try:
            task = self._given(calls)
        except BaseException:
            self._turns.release()
            raise
        return task

    def _given(self, calls: list[Call[Answer]]) -> _Task[Answer]:
        """The calls in the hands of a working pool; their turn ends with their answers."""
        for _ in range(_ATTEMPTS):
            pool = self._working_pool()
            try:
                answers: Future[list[Answer | Refused]] = pool.schedule(
                    each_within_limits, args=(self._limits, calls), timeout=self._limits.clock_s
                )
            except (RuntimeError, BrokenProcessPool, OSError) as error:
                self._replace(pool, error)
                continue
            self._unfinished.add(answers)
            answers.add_done_callback(self._finished)
            return _Task(calls, pool, answers)
        self._is_down = True
        raise DecodersDown

    def _finished(self, answer: "Future[Any]") -> None:
        self._unfinished.discard(answer)
        if not answer.cancelled() and answer.exception() is None:
            self._answered_at = time.monotonic()
            self._is_down = False
        self._turns.release()

    def _answered(self, group: _Group[Item, Answer]) -> Iterator[tuple[Item, Answer | Refused | None]]:
        answers = iter(self._answers(group.task) if group.task else ())
        for item, is_decoded in group.items:
            yield item, next(answers) if is_decoded else None

    def _answers(self, task: _Task[Answer]) -> list[Answer | Refused]:
        if len(task.calls) == 1:
            return [self._answer(task)]
        try:
            return self._waited(task)
        except (TimeoutError, ProcessExpired):
            pass
        except (BrokenProcessPool, CancelledError) as error:
            self._replace(task.pool, error)
        # One of them may have ended the process: each costs only itself.
        return [self._answer(self._schedule([call], self._wait_s)) for call in task.calls]

    def _answer(self, task: _Task[Answer]) -> Answer | Refused:
        """The answer of a task with one call."""
        was_killed = False
        for _ in range(_ATTEMPTS):
            try:
                return self._waited(task)[0]
            except TimeoutError:
                return _too_slow()
            except ProcessExpired as expired:
                # Whoever killed it once (the system, short of memory, for one) may not have meant this picture.
                if was_killed or expired.exitcode != -signal.SIGKILL:
                    return _refusal(expired.exitcode)
                was_killed = True
            except (BrokenProcessPool, CancelledError) as error:
                self._replace(task.pool, error)
            task = self._schedule(task.calls, self._wait_s)
        self._give_up(task)
        raise DecodersDown

    def _waited(self, task: _Task[Answer]) -> list[Answer | Refused]:
        while True:
            try:
                return task.answers.result(timeout=1.0)
            except TimeoutError:
                if task.answers.done():
                    raise
            if task.pool is not self._pool:
                task.answers.cancel()
            elif self._is_lost(task):
                # A process that was killed while it fetched work may have taken a lock with it: only a new pool helps.
                task.answers.cancel()
                raise BrokenProcessPool("a process is idle and none takes the picture")

    def _is_lost(self, task: _Task[Any]) -> bool:
        """Whether a process is idle and yet none takes the task."""
        running = sum(answer.running() for answer in tuple(self._unfinished))
        waits = not task.answers.running() and not task.answers.done()
        return waits and running < self._workers and time.monotonic() - task.given_at > _UNSTARTED_S

    def _give_up(self, task: _Task[Any]) -> None:
        self._is_down = True
        self._replace(task.pool, DecodersDown())
        task.answers.cancel()

    def _working_pool(self) -> ProcessPool:
        with self._lock:
            if self._pool is None:
                # Spawned, not forked: this process has threads, and a fork would copy their locks.
                self._pool = ProcessPool(
                    max_workers=self._workers,
                    max_tasks=2_000,
                    initializer=limit_process,
                    initargs=(self._limits,),
                    context=multiprocessing.get_context("spawn"),
                )
            return self._pool

    def _replace(self, broken: ProcessPool, error: BaseException) -> None:
        with self._lock:
            if self._pool is not broken:
                return
            self._pool = None
        log.warning("decoding_pool_replaced", error=f"{type(error).__name__}: {error}")
        # Ending what is left of it takes a moment, for which nobody needs to wait.
        threading.Thread(target=_end, args=(broken,), name="end-decoding-pool", daemon=True).start()


def _grouped(
    items: Iterable[Item], call: Callable[[Item], Call[Answer] | None], together: int
) -> Iterator[list[tuple[Item, Call[Answer] | None]]]:
    """Items with their calls, in groups: of ``together``, of fewer where their bytes are many."""
    group: list[tuple[Item, Call[Answer] | None]] = []
    size = 0
    for item in items:
        called = call(item)
        group.append((item, called))
        size += sum(len(argument) for argument in called[1] if isinstance(argument, bytes)) if called else 0
        if len(group) >= together or size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _refusal(exitcode: int) -> Refused:
    match -exitcode:
        case signal.SIGXCPU:
            return _too_slow()
        case signal.SIGKILL:
            return Refused("image-too-large", "it needs more memory than the server has")
        case _:
            return Refused(
                "image-crashed-decoder", "it is damaged in a way that crashes the program that reads pictures"
            )


def _too_slow() -> Refused:
    return Refused("image-too-slow", "decoding it takes more time than the server allows for one picture")


def _end(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble has half of its types
    pool.join()


_of_this_process: DecodingPool | None = None
_limits_of_this_process = LIMITS
_making = threading.Lock()


def allow_megapixels(most: int) -> None:
    """Have this process's pool accept pictures of so many million pixels; to be said before its first picture."""
    global _limits_of_this_process
    _limits_of_this_process = Limits.for_pixels(most * 1_000_000)


def decoding_pool() -> DecodingPool:
    """The one of this process; processes are too dear to have several."""
    global _of_this_process
    with _making:
        if _of_this_process is None:
            _of_this_process = DecodingPool(limits=_limits_of_this_process)
            # Else Python complains, in the window of whoever pressed Ctrl-C, of what the pool's processes left open.
            atexit.register(_of_this_process.close)
        return _of_this_process
