"""How this machine's processors are shared between us and other programs.

A measured time tells how fast a machine is only together with what else ran there. Linux counts for every thread how
long it ran and how long it waited for a processor (``/proc/PID/task/TID/schedstat``, in nanoseconds); where that
is missing, a machine counts as quiet.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

THREAD_SETTINGS: Final[Mapping[str, str]] = {"GOMP_SPINCOUNT": "1000"}
"""Environment of trainings: threads that wait for each other soon sleep instead of keeping a processor busy.

Measured (docs/decisions/0016-forecasts-and-other-programs.md): beside another program a step takes a quarter to half
less time, alone as much as before.
"""
_PROC: Final = Path("/proc")
_NANOSECONDS: Final = 1e9
_SAMPLED_EVERY_S: Final = 0.25
_FULL: Final = 0.95
"""From this share of busy processors on, whoever computes gets less than it wants."""
_OURS: Final = 0.2
"""Share of the processors from which on this program itself is at work."""
_HEARTBEATS: Final = 3
_MOST_TIMES: Final = 9.0
"""Other programs count as at most so many threads for each processor."""

ThreadTimes = Mapping[int, tuple[float, float]]
"""By thread: seconds that it ran, and seconds that it waited for a processor."""


def processors() -> int:
    """How many of this machine's processors this program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Use:
    """What the threads of a program did in a period: seconds run and waited for a processor, added up."""

    running: float
    waiting: float

    @classmethod
    def between(cls, before: ThreadTimes, after: ThreadTimes) -> "Use":
        """Of all threads that are there now; what has ended since is left out."""
        running = waiting = 0.0
        for thread, (ran, waited) in after.items():
            ran_before, waited_before = before.get(thread, (0.0, 0.0))
            running += ran - ran_before
            waiting += waited - waited_before
        return cls(running, waiting)

    def quiet_share(self, seconds: float, count: int) -> float:
        """Share of ``seconds`` that the same work takes where no other program uses the ``count`` processors.

        While one of our threads waits for a processor, others may wait for that thread, so at most the whole wait is
        lost. No more is lost than what we didn't get of the processors: threads of which there are more than
        processors wait for each other, which is no other program's doing.
        """
        ran, waited = self.running / seconds, self.waiting / seconds
        return min(1.0, max(1 - waited, ran / count))


class QuietClock:
    """Seconds that have passed, less those in which other programs used the processors. Never goes back."""

    def __init__(
        self,
        *,
        thread_times: Callable[[], ThreadTimes] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        count: int | None = None,
        begun_at: float | None = None,
    ) -> None:
        """The clock starts now, or at ``begun_at``, which is when this process started.

        ``thread_times``: of the program that works; by default of this process and those that it has started.
        """
        self._thread_times, self._monotonic = thread_times or our_thread_times, monotonic
        self._count = count or processors()
        self._sampled_at, self._times = begun_at or monotonic(), {} if begun_at else self._thread_times()
        self._quiet, self._share, self._last = 0.0, 1.0, 0.0

    def __call__(self) -> float:
        """Quiet seconds since the clock started."""
        passed = self._monotonic() - self._sampled_at
        if passed >= _SAMPLED_EVERY_S:
            times = self._thread_times()
            self._share = Use.between(self._times, times).quiet_share(passed, self._count)
            self._quiet += passed * self._share
            self._sampled_at, self._times, passed = self._sampled_at + passed, times, 0.0
        self._last = max(self._last, self._quiet + passed * self._share)
        return self._last


def our_thread_times(proc: Path = _PROC) -> ThreadTimes:
    """Of this process and all that it has started; empty where the system doesn't count."""
    return dict(_thread_times(proc, os.getpid()))


def _thread_times(proc: Path, pid: int) -> Iterator[tuple[int, tuple[float, float]]]:
    # A thread or a process may end at any moment; then its files are gone.
    try:
        threads = list((proc / str(pid) / "task").iterdir())
    except OSError:
        return
    for thread in threads:
        try:
            ran, waited, _ = (thread / "schedstat").read_text().split()
            children = (thread / "children").read_text().split()
        except (OSError, ValueError):
            continue
        yield int(thread.name), (int(ran) / _NANOSECONDS, int(waited) / _NANOSECONDS)
        for child in children:
            yield from _thread_times(proc, int(child))


@dataclass(frozen=True, slots=True)
class Busy:
    """Processor seconds so far: of all programs, and of this one with those that it has started."""

    at: float
    everybody: float
    ours: float


def busy_now() -> Busy:
    """As the system counts them. Programs that step back for others (``nice``) don't count."""
    whole = psutil.cpu_times()
    everybody = sum(whole) - whole.idle - sum(getattr(whole, name, 0.0) for name in ("iowait", "nice", "guest_nice"))
    # What a virtual machine's guests take is counted in its own time already.
    return Busy(time.monotonic(), everybody - getattr(whole, "guest", 0.0), _seconds_of_tree())


def _seconds_of_tree() -> float:
    """What has ended is counted by whoever had started it."""
    root = psutil.Process()
    seconds = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            seconds += sum(process.cpu_times()[:4])
        except psutil.Error:
            continue
    return seconds


def other_threads(before: Busy, after: Busy, count: int, load_average: float) -> float:
    """How many threads of other programs want one of ``count`` processors, on average.

    ``load_average``: processes of all programs that run or wait to, which says more where all processors are busy.
    """
    seconds = max(after.at - before.at, 1e-3)
    ours = max(0.0, after.ours - before.ours) / seconds
    others = max(0.0, (after.everybody - before.everybody) / seconds - ours)
    if ours + others < _FULL * count:
        return others
    # A training has a thread for each processor; what else is in the load are others.
    wanted = load_average - (count if ours >= _OURS * count else 0)
    return min(max(others, wanted), _MOST_TIMES * count)


class LoadMeter:
    """What other programs do on this machine all the time: the least of the last few calls.

    An import or a page that was just drawn is over before a training is, and must not make it shorter.
    """

    def __init__(self, *, busy: Callable[[], Busy] = busy_now, count: int | None = None) -> None:
        self._busy, self._count = busy, count or processors()
        self._last = busy()
        self._found: deque[float] = deque(maxlen=_HEARTBEATS)

    def other_threads(self) -> float:
        """How many of their threads want a processor."""
        now = self._busy()
        self._found.append(other_threads(self._last, now, self._count, psutil.getloadavg()[0]))
        self._last = now
        return min(self._found)
