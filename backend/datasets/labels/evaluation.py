"""Patterns and expressions that people wrote, evaluated in processes with limits of memory and processor time.

Neither RE2 nor CEL can be interrupted, and both hold Python's lock: in the web process a heavy rule would stop
every page. Here it costs only the rule.
"""

import atexit
import contextlib
import functools
import math
import multiprocessing
import resource
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from typing import Final

from pebble import ProcessExpired, ProcessPool

from backend.domain.errors import InvalidInput, Unavailable
from backend.domain.labels.rules import Evaluate, evaluate_expression, evaluate_pattern
from backend.domain.splitting import find_groups_by_pattern

_WORKERS: Final = 2
_MEMORY: Final = 1 << 30
"""Bytes of address space of a process."""
_CPU_S: Final = 2.0
_CPU_S_PER_PATH: Final = 0.0002
_WALL_FACTOR: Final = 15
"""Seconds by the clock for each second of processor time, before a process is given up: the machine may be busy."""
_CHUNK: Final = 20_000
"""Paths that one process evaluates at once, at most."""
_SMALL_CHUNK: Final = 1_000
"""Fewer aren't shared out."""


class RuleTooSlow(InvalidInput):
    """A rule takes too long for the number of images."""

    code = "label-rule-too-slow"

    def __init__(self) -> None:
        super().__init__("This rule takes too long for so many pictures.", advice="Try a simpler rule.")


class RuleTooLarge(InvalidInput):
    """A rule needs more memory than it may have."""

    code = "label-rule-too-large"

    def __init__(self) -> None:
        super().__init__("This rule makes texts that are too long to hold.", advice="Try a simpler rule.")


class EvaluationUnavailable(Unavailable):
    """The processes that evaluate rules don't start."""

    code = "label-rules-unavailable"

    def __init__(self) -> None:
        super().__init__("Rules can't be evaluated at the moment.", advice="Try again.")


class RuleProcesses:
    """A few processes that evaluate rules, started with the first one and started anew when they die."""

    def __init__(self, *, cpu_s: float = _CPU_S, memory: int = _MEMORY) -> None:
        self._cpu_s = cpu_s
        self._memory = memory
        self._lock = threading.Lock()
        self._pool: ProcessPool | None = None

    def evaluate(self, function: Evaluate, text: str, paths: Sequence[str]) -> Sequence[str | None]:
        """What ``function`` gives for ``text`` and ``paths``, in their order.

        Raises:
            RuleTooSlow, RuleTooLarge: beyond a limit.
            InvalidInput: whatever the function refuses.
            EvaluationUnavailable
        """
        size = _chunk_size(len(paths))
        chunks = [paths[at : at + size] for at in range(0, len(paths), size)] or [paths]
        tasks = [self._schedule(function, text, chunk) for chunk in chunks]
        try:
            return [*chain.from_iterable(task.result() for task in tasks)]
        except TimeoutError:
            raise RuleTooSlow from None
        except ProcessExpired as death:
            raise (RuleTooSlow if death.exitcode == -signal.SIGPROF else RuleTooLarge) from None
        except MemoryError:
            raise RuleTooLarge from None
        except BrokenProcessPool:
            raise EvaluationUnavailable from None
        finally:
            for task in tasks:
                task.cancel()

    def start(self) -> None:
        """Start them without waiting, so that the first rule finds them ready."""
        self._schedule(evaluate_pattern, "()", ())

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.stop()  # type: ignore[no-untyped-call]  # pebble has half of its types
            self._pool.join()

    def _schedule(self, function: Evaluate, text: str, paths: Sequence[str]) -> "Future[list[str | None]]":
        cpu_s = self._cpu_s + _CPU_S_PER_PATH * len(paths)
        for _ in range(2):
            with contextlib.suppress(RuntimeError):  # a process was killed while idle, and pebble gave the pool up
                return self._running_pool().schedule(
                    _limited, args=(function, text, paths, cpu_s), timeout=cpu_s * _WALL_FACTOR
                )
            self._forget_pool()
        raise EvaluationUnavailable

    def _running_pool(self) -> ProcessPool:
        with self._lock:
            if self._pool is None or not self._pool.active:
                # Spawned, not forked: this process has threads, and a fork would copy their locks.
                self._pool = ProcessPool(
                    max_workers=_WORKERS,
                    max_tasks=2_000,
                    initializer=_limit_memory,
                    initargs=(self._memory,),
                    context=multiprocessing.get_context("spawn"),
                )
            return self._pool

    def _forget_pool(self) -> None:
        with self._lock:
            self._pool = None


def _chunk_size(paths: int) -> int:
    """Every process gets as many chunks as the others, so that none waits for the last one."""
    if paths <= _SMALL_CHUNK:
        return _SMALL_CHUNK
    rounds = math.ceil(paths / (_WORKERS * _CHUNK))
    return math.ceil(paths / (rounds * _WORKERS))


def _limited(function: Evaluate, text: str, paths: Sequence[str], cpu_s: float) -> list[str | None]:
    """Runs in the child: the system ends it when its processor time is used up, even inside RE2 or CEL."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    try:
        return list(function(text, paths))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _limit_memory(limit: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        # A process that is ended for its memory leaves no file of it behind.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@functools.cache
def rule_processes() -> RuleProcesses:
    """The ones of this server."""
    processes = RuleProcesses()
    atexit.register(processes.close)
    return processes


def pattern_in_process(text: str, paths: Sequence[str]) -> Sequence[str | None]:
    """Like ``evaluate_pattern``, within limits."""
    return rule_processes().evaluate(evaluate_pattern, text, paths)


def groups_in_process(text: str, paths: Sequence[str]) -> Sequence[str | None]:
    """Like ``find_groups_by_pattern``, within limits."""
    return rule_processes().evaluate(find_groups_by_pattern, text, paths)


def expression_in_process(text: str, paths: Sequence[str]) -> Sequence[str | None]:
    """Like ``evaluate_expression``, within limits."""
    return rule_processes().evaluate(evaluate_expression, text, paths)
