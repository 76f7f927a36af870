import multiprocessing
import os
import time
from pathlib import Path

import pytest

from benchmarks import measuring
from benchmarks.measuring import Stopwatch, processor_seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the clock shows; the processor has been at work for half of them."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(measuring, "processor_seconds", lambda: now[0] / 2)
    return now


def test_a_stopwatch_counts_from_when_it_was_made(clock: list[float]) -> None:
    watch = Stopwatch()
    clock[0] += 10

    assert watch.elapsed == (10, 5)


def test_what_is_done_in_a_pause_takes_no_time(clock: list[float]) -> None:
    watch = Stopwatch()
    clock[0] += 10
    with watch.paused():
        assert watch.is_paused
        clock[0] += 100
    clock[0] += 2

    assert not watch.is_paused
    assert watch.elapsed == (12, 6)


def test_every_epochs_result_is_noted_with_its_seconds(clock: list[float]) -> None:
    watch = Stopwatch()
    for stage, error in ((0, 0.3), (0, 0.2), (1, 0.1)):
        clock[0] += 4
        watch.validated(stage, error, loss=0.5)

    assert watch.errors == [[0.3, 0.2], [0.1]]
    assert watch.epochs[1] == {
        "stage": 0,
        "seconds": 8.0,
        "processor_seconds": 4.0,
        "error_rate": 0.2,
        "loss": 0.5,
    }


def test_processor_seconds_of_a_running_worker_count() -> None:
    worker = multiprocessing.get_context("fork").Process(target=_work, args=(0.2,))
    worker.start()
    try:
        # Beyond this process's own time and that of its finished children.
        while processor_seconds() - sum(os.times()[:4]) < 0.1:
            time.sleep(0.01)
        assert worker.is_alive()
    finally:
        worker.kill()
        worker.join()


def _work(seconds: float) -> None:
    """Compute for so long of processor time, then wait to be ended."""
    while time.process_time() < seconds:
        pass
    time.sleep(600)


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    measuring.write(tmp_path / "a.json", {"b": [1]})

    assert measuring.read(tmp_path / "a.json") == {"b": [1]}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
