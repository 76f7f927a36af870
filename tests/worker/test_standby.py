"""A process that waits for a training, started and ordered by the test itself."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.processes import is_alive, wait_until
from worker import standby
from worker.standby import Standby


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Standby]:
    monkeypatch.setenv("PYTHONPATH", str(Path(os.curdir).resolve()))
    found = Standby("tests.worker.waiting_trainer")
    found.refill()
    yield found
    found.close()


def test_it_does_the_job_that_it_is_given(waiting: Standby, tmp_path: Path) -> None:
    pid = waiting.pid
    output = tmp_path / "attempt.log"
    output.write_text("before\n")

    process = waiting.take(["job", "3"], {**os.environ, "TELLAPART_DEVICE": "cuda:1"}, output)

    assert process is not None
    assert (process.pid, process.wait(20)) == (pid, 7)
    assert output.read_text() == "before\njob 3 on cuda:1\n"


def test_each_does_one_job(waiting: Standby, tmp_path: Path) -> None:
    first = waiting.take(["job", "1"], dict(os.environ), tmp_path / "1.log")

    assert first is not None
    assert waiting.take(["job", "2"], dict(os.environ), tmp_path / "2.log") is None
    first.wait(20)


def test_one_waits_at_most(waiting: Standby) -> None:
    pid = waiting.pid

    waiting.refill()

    assert waiting.pid == pid


def test_one_that_has_ended_is_replaced(waiting: Standby, tmp_path: Path) -> None:
    assert waiting.pid is not None
    os.kill(ended := waiting.pid, 9)
    wait_until(lambda: not is_alive(ended), "it has ended")

    assert waiting.take(["job", "1"], dict(os.environ), tmp_path / "1.log") is None
    waiting.refill()
    assert waiting.pid not in (None, ended)


def test_none_is_started_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby, "_NEEDS_BYTES", sys.maxsize)
    found = Standby("tests.worker.waiting_trainer")

    found.refill()

    assert found.pid is None
