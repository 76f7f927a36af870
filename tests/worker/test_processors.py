import os
import sys
import threading
import time
from pathlib import Path

import pytest

from worker.processors import Busy, LoadMeter, QuietClock, ThreadTimes, Use, other_threads, our_thread_times


@pytest.mark.parametrize(
    ("use", "seconds", "count", "share"),
    [
        pytest.param(Use(20.0, 0.0), 10.0, 2, 1.0, id="both threads run all the time"),
        pytest.param(Use(10.0, 10.0), 10.0, 2, 0.5, id="both threads get half of what they want"),
        pytest.param(Use(20.0, 30.0), 10.0, 2, 1.0, id="five threads wait for each other on two processors"),
        pytest.param(Use(10.0, 40.0), 10.0, 2, 0.5, id="five threads together get one of two processors"),
        pytest.param(Use(10.0, 5.0), 10.0, 2, 0.5, id="one of two threads gets half, and the other waits for it"),
        pytest.param(Use(10.0, 0.0), 10.0, 2, 1.0, id="one thread has a processor, whatever the other one does"),
        pytest.param(Use(6.0, 4.0), 10.0, 2, 0.6, id="one thread waits for four seconds of ten"),
        pytest.param(Use(1.0, 1.0), 10.0, 2, 0.9, id="a thread that mostly sleeps waits for one second of ten"),
        pytest.param(Use(0.0, 0.0), 10.0, 2, 1.0, id="nothing is counted on this system"),
    ],
)
def test_time_without_other_programs_follows_from_how_long_threads_waited(
    use: Use, seconds: float, count: int, share: float
) -> None:
    assert use.quiet_share(seconds, count) == pytest.approx(share)


def test_threads_that_began_in_between_count_whole_and_ended_ones_not_at_all() -> None:
    before = {1: (5.0, 1.0), 2: (3.0, 3.0)}
    after = {1: (7.0, 2.0), 3: (0.5, 0.25)}

    assert Use.between(before, after) == Use(2.5, 1.25)


def test_the_clock_leaves_out_what_other_programs_took() -> None:
    now = 100.0
    times: ThreadTimes = {1: (0.0, 0.0)}
    clock = QuietClock(thread_times=lambda: times, monotonic=lambda: now, count=1)

    now, times = 104.0, {1: (4.0, 0.0)}
    quiet = clock()
    now, times = 110.0, {1: (6.0, 4.0)}

    assert (quiet, clock()) == (4.0, 6.0)


def test_the_clock_never_goes_back() -> None:
    now = 0.0
    times: ThreadTimes = {1: (0.0, 0.0)}
    clock = QuietClock(thread_times=lambda: times, monotonic=lambda: now, count=1)
    now = 0.2
    between = clock()

    now, times = 0.3, {1: (0.0, 0.3)}

    assert (between, clock()) == (0.2, 0.2)


def test_this_process_and_those_it_started_are_counted(tmp_path: Path) -> None:
    task = tmp_path / str(os.getpid()) / "task"
    for thread, statistics, children in (("11", "2000000000 500000000 7", "21 "), ("12", "1000000000 0 1", "")):
        (task / thread).mkdir(parents=True)
        (task / thread / "schedstat").write_text(statistics)
        (task / thread / "children").write_text(children)
    child = tmp_path / "21" / "task" / "21"
    child.mkdir(parents=True)
    (child / "schedstat").write_text("3000000000 1000000000 1")
    (child / "children").write_text("22 ")  # ended a moment ago

    assert our_thread_times(tmp_path) == {11: (2.0, 0.5), 12: (1.0, 0.0), 21: (3.0, 1.0)}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts how long threads wait")
def test_a_thread_that_computes_is_seen_to_run() -> None:
    is_over = threading.Event()

    def compute() -> None:
        until = time.thread_time() + 0.2
        while time.thread_time() < until:
            pass
        is_over.set()
        time.sleep(0.2)

    before = our_thread_times()
    thread = threading.Thread(target=compute)
    thread.start()
    is_over.wait(60)
    after = our_thread_times()
    thread.join()

    assert Use.between(before, after).running >= 0.15


def test_other_programs_are_those_that_this_one_has_not_started() -> None:
    def between(ours: float, everybody: float, load: float = 0.0) -> float:
        return other_threads(Busy(0.0, 0.0, 0.0), Busy(10.0, everybody, ours), 4, load)

    assert between(ours=0.0, everybody=10.0) == 1.0
    assert between(ours=10.0, everybody=30.0) == 2.0
    # All four are busy, four threads of ours among seven that run or wait: three are others'.
    assert between(ours=20.0, everybody=40.0, load=7.0) == 3.0
    # The load of the last minute doesn't know yet what has just begun.
    assert between(ours=20.0, everybody=40.0, load=4.0) == 2.0
    # We do nothing, and more of them wait than run.
    assert between(ours=0.0, everybody=40.0, load=12.0) == 12.0
    assert between(ours=0.0, everybody=40.0, load=900.0) == 36.0


def test_the_load_is_what_others_do_all_the_time_over_three_calls() -> None:
    used = [0.0, 20.0, 30.0, 70.0, 100.0, 140.0]
    busy = iter([Busy(10.0 * number, seconds, 0.0) for number, seconds in enumerate(used)])
    meter = LoadMeter(busy=lambda: next(busy), count=40)

    # 2, 1, 4, 3 and 4 processors in the ten seconds before each call.
    assert [meter.other_threads() for _ in range(5)] == [2.0, 1.0, 1.0, 1.0, 3.0]
