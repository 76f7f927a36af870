"""After the system has ended a training for its memory, the next try takes less of it."""

import os

import pytest

from worker.engine.hardware import devices
from worker.jobs.train_job import loader_processes_after


@pytest.mark.parametrize(("kills", "processes"), [(1, 1), (2, 0), (3, 0)])
def test_g06_after_each_kill_fewer_processes_prepare_images(
    monkeypatch: pytest.MonkeyPatch, kills: int, processes: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)

    assert devices.loader_processes(10_000, 1) == 4
    assert devices.loader_processes(10_000, 1, most=loader_processes_after(kills)) == processes
