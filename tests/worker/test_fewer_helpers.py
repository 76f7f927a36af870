"""After the system has ended a training for its memory, the next try takes less of it."""

import os
from collections.abc import Iterator

import pytest

from worker.engine.hardware import devices
from worker.train_job import loader_processes_after


@pytest.fixture
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine of eight processors, and the usual number of processes afterwards."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    yield
    devices.keep_loader_processes_to(4)


@pytest.mark.usefixtures("as_before")
@pytest.mark.parametrize(("kills", "processes"), [(1, 1), (2, 0), (3, 0)])
def test_g06_after_each_kill_fewer_processes_prepare_images(kills: int, processes: int) -> None:
    assert devices.loader_processes(10_000, 1) == 4

    devices.keep_loader_processes_to(loader_processes_after(kills))

    assert devices.loader_processes(10_000, 1) == processes
