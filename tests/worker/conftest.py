"""A worker's parts on a real database, its jobs done in the test's own process tree."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.db.session import Database
from backend.domain.architectures import Architecture
from backend.ledger.timers import Timers
from backend.settings import Settings
from backend.storage.local import LocalStorage
from tests.conftest import CollectingNotifier
from tests.fixtures.engine import tiny_registered
from worker.identity import WorkerContext, WorkerIdentity

QUICK = Timers(heartbeat=0.3, lease=5, flags=0.1, kill_grace=3, backoff=(0.0, 0.0), suspend=3, stack_dump_wait=0.5)


@pytest.fixture
def context(
    settings: Settings, database: Database, notifier: CollectingNotifier, monkeypatch: pytest.MonkeyPatch
) -> WorkerContext:
    """Parts of a worker whose trainer is the steady one; its children find the same data."""
    monkeypatch.setenv("TELLAPART_DATA", str(settings.data))
    monkeypatch.setenv("DATABASE_URL", database.url)
    monkeypatch.setenv("STORAGE_URL", f"file://{settings.storage_folder}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(os.curdir).resolve()))
    identity = WorkerIdentity("worker-1", "host-1", "cpu:worker-1", str(settings.data / "drain"), QUICK)
    identity = replace(identity, trainer="tests.worker.kill.steady_trainer")
    return WorkerContext(identity, settings, database, LocalStorage(settings.storage_folder), notifier)


@pytest.fixture(scope="session")
def weights_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


@pytest.fixture
def tiny(weights_folder: Path) -> Iterator[Architecture]:
    """The tiny network, in the catalogue while a test lasts."""
    with tiny_registered(weights_folder) as entry:
        yield entry


@pytest.fixture(autouse=True)
def every_epoch_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs of the tiny network take as long as saving their state; tests count the states."""
    monkeypatch.setattr("worker.engine.loop.saving.SHARE", 1e9)
