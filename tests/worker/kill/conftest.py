"""Real workers on a real broker and both databases, with timers of seconds instead of minutes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest
import redis
from sqlalchemy import select

from backend.db.session import Database
from backend.domain.ids import VersionId
from backend.domain.training import NO_AUGMENTATION, StageRequest, TrainingRequest
from backend.embedded import find_valkey
from backend.ledger.celery_notifier import CeleryNotifier
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.ledger.timers import Timers
from backend.ledger.unit_of_work import unit_of_work
from backend.storage.local import LocalStorage
from backend.tables.ledger import JobAttemptRow
from backend.tables.training import EpochRow, RunEventRow, RunRow
from backend.training import control
from backend.training.repository import RunRepository
from backend.training.run_view import RunView, show_run
from backend.training.start import RunOrder, start
from tests.fixtures.nightly import is_night
from tests.fixtures.postgres import empty
from tests.fixtures.tested_machine import count_as_tested
from tests.fixtures.versions import add_shapes

TIMERS: Final = Timers(
    heartbeat=0.3,
    lease=3.0,
    suspend=2.1,
    give_up=60.0,
    flags=0.1,
    sweep=0.3,
    notify_again=0.9,
    startup_grace=0.6,
    kill_grace=2.0,
    poll=0.3,
    missed_notification=1.8,
    backoff=(0.0, 0.1, 0.1),
)
PATIENCE_S: Final = 120.0
ON_BOTH: Final = frozenset({"test_a_run_ends_undisturbed", "test_nothing_is_left_when_all_have_left"})
"""Tests that run on both databases each time; the others take turns by day and run on both at night."""
STEADY: Final = "tests.worker.kill.steady_trainer"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """By day, the tests of each file that run on both databases take turns between them."""
    if is_night():
        return
    on_clusters: dict[Path, dict[str, dict[str, pytest.Item]]] = {}
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        database = parameters.get("cluster") or parameters.get("real_cluster")
        name = getattr(item, "originalname", "")
        if database is not None and name not in ON_BOTH:
            on_clusters.setdefault(item.path, {}).setdefault(name, {})[database] = item
    left_out = [
        of_test[("postgresql", "sqlite")[place % 2]]
        for tests in on_clusters.values()
        for place, of_test in enumerate(of_test for of_test in tests.values() if len(of_test) > 1)
    ]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def wait_until(what: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    """Until ``what`` is true, or the test has failed."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


class Broker:
    """A real Valkey that can be stopped and started again; it keeps nothing."""

    def __init__(self, folder: Path) -> None:
        found = find_valkey(folder)
        assert found is not None
        self._valkey, self.url = found, found.url
        self.start()

    def start(self) -> None:
        """Returns once it answers."""
        self._process = subprocess.Popen(self._valkey.command, stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def stop(self) -> None:
        """At once, and all that it knew is gone."""
        self._process.kill()
        self._process.wait()
        self._valkey.socket.unlink(missing_ok=True)

    def _answers(self) -> bool:
        with suppress(redis.RedisError), redis.Redis.from_url(self.url) as client:
            return bool(client.ping())
        return False


@dataclass(eq=False)
class Cluster:
    """A ledger, a broker, and workers that can be killed. ``broker`` is None where there is none."""

    folder: Path
    database_url: str
    redis_url: str
    trainer: str
    broker: Broker | None = None
    version_id: VersionId = VersionId("")
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = Database(self.database_url)
        self.notifier = CeleryNotifier(self.redis_url)
        with self.database.write() as session:
            self.version_id = add_shapes(session, LocalStorage(self.folder / "storage"), train=16, valid=6)
            count_as_tested(session)

    def scale_to(self, workers: int) -> None:
        """Have so many workers, starting those that are missing; returns once they listen."""
        wait_until(lambda: self._has(workers))

    def shut_down(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End all workers."""
        for worker in self.workers:
            worker.send_signal(number)
        for worker in self.workers:
            worker.wait(PATIENCE_S)
        self.workers = []

    def run(self, name: str = "steady", epochs: int = 8) -> str:
        """Ask for a training; its id."""
        stages = (StageRequest(epochs=epochs, freeze=False, max_lr=0.001),)
        request = TrainingRequest(image_size=32, batch_size=16, stages=stages, augmentation=NO_AUGMENTATION)
        with unit_of_work(self.database, self.notifier) as unit:
            return start(unit, RunOrder(self.version_id, request, name), self.folder).id

    def cancel(self, run_id: str) -> None:
        """Ask for its end."""
        with self.database.write() as session:
            Ledger(session).cancel(session.get_one(RunRow, run_id).job_id)

    def pause(self, run_id: str) -> None:
        """Let it rest."""
        with self.database.write() as session:
            control.pause(session, run_id)

    def resume(self, run_id: str) -> None:
        """Let it go on."""
        with unit_of_work(self.database, self.notifier) as unit:
            control.resume(unit, run_id)

    def finish(self, run_id: str) -> None:
        """Let it end well after its epoch."""
        with self.database.write() as session:
            control.finish(session, run_id)

    def points(self, run_id: str) -> list[tuple[int, int]]:
        """Epochs and steps at which it would go on, the newest first; then the beginning."""
        with self.database.read() as session:
            return [*((row.epoch, row.step) for row in RunRepository(session).states(run_id, 2)), (0, 0)]

    def newest_point(self, run_id: str) -> tuple[int, int]:
        """Epoch and step at which it would go on."""
        return self.points(run_id)[0]

    def newest_state_file(self, run_id: str) -> Path:
        """What lies on disk of the point at which it would go on."""
        with self.database.read() as session:
            (row,) = RunRepository(session).states(run_id, 1)
        (file, *_) = (self.folder / "storage" / "states" / run_id).glob(f"attempt-*/{row.file}")
        return file

    def steps(self, run_id: str) -> list[str]:
        """Every step that was made, ``epoch.step``, in order."""
        file = self.folder / f"trace-{run_id}"
        return file.read_text().split() if file.exists() else []

    def view(self, run_id: str) -> RunView:
        """The run as it stands."""
        with self.database.read() as session:
            return show_run(session, run_id)

    def epochs(self, run_id: str) -> list[EpochRow]:
        """Its table so far."""
        with self.database.read() as session:
            return list(RunRepository(session).epochs(run_id))

    def attempts(self, run_id: str) -> list[JobAttemptRow]:
        """All tries at it."""
        with self.database.read() as session:
            return Jobs(session).attempts(session.get_one(RunRow, run_id).job_id)

    def first_epochs(self, run_id: str) -> list[int]:
        """Where each attempt that got that far began."""
        with self.database.read() as session:
            query = select(RunEventRow.data).where(RunEventRow.run_id == run_id, RunEventRow.kind == "stage")
            return [data["first_epoch"] for data in session.scalars(query.order_by(RunEventRow.id))]

    def wait_for_epochs(self, run_id: str, number: int) -> None:
        """Until so many rows of the table are there."""
        wait_until(lambda: len(self.epochs(run_id)) >= number)

    def wait_for_point(self, run_id: str, epoch: int) -> None:
        """Until a state after so many epochs is saved: of short epochs, not each is."""
        wait_until(lambda: self.newest_point(run_id)[0] >= epoch)

    def wait_for_status(self, run_id: str, status: str) -> None:
        """Until the run has that status."""
        wait_until(lambda: self.view(run_id).status == status)

    def trainer_pid(self, run_id: str) -> int:
        """Of the process that works on it now."""
        found: list[int] = []

        def look() -> bool:
            found.extend(row.pid for row in self.attempts(run_id) if row.ended_at is None and row.pid)
            return bool(found)

        wait_until(look)
        return found[-1]

    def host_pid(self, pid: int) -> int:
        """Of the worker in whose tree a process is."""
        hosts = {worker.pid for worker in self.workers}
        while pid not in hosts:
            pid = parent_of(pid)
            assert pid > 1, "not one of our workers"
        return pid

    def listeners(self) -> int:
        """How many listeners are connected to the broker: each waits on its queue."""
        with redis.Redis.from_url(self.redis_url) as client:
            return sum(1 for entry in client.client_list() if entry["cmd"] == "brpop")

    def flush_broker(self) -> None:
        """Make the broker forget everything."""
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()

    def processes(self) -> dict[int, str]:
        """Everything that runs on our data folder, ourselves excepted."""
        found = {}
        mark = f"TELLAPART_DATA={self.folder}\0".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (folder / "environ").read_bytes() + b"\0" and _is_alive(folder):
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        return found

    def _has(self, workers: int) -> bool:
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < workers:
            self.workers.append(self._start())
        return self.listeners() >= 2 * workers

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "TELLAPART_DATA": str(self.folder),
            "TELLAPART_DEVICE": "cpu",
            "OMP_NUM_THREADS": "1",
        }
        environment.pop("STORAGE_URL", None)
        command = [sys.executable, "-m", "worker", "--timers", TIMERS.to_json(), "--trainer", self.trainer]
        with (self.folder / "worker.log").open("ab") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def parent_of(pid: int) -> int:
    """The process that started another."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _is_alive(folder: Path) -> bool:
    return (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Workers with the steady trainer, on either database; one set for all tests of a file."""
    yield from _cluster(request, tmp_path_factory, STEADY)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def real_cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Workers with the real trainer."""
    yield from _cluster(request, tmp_path_factory, "worker.trainer")


def _cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, trainer: str
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), folder / "tellapart.sqlite3")
        url = f"sqlite:///{folder / 'tellapart.sqlite3'}"
    else:
        url = request.getfixturevalue("postgres_url")
    broker = Broker(folder / "broker")
    try:
        cluster = Cluster(folder, url, broker.url, trainer, broker)
        try:
            yield cluster
        finally:
            cluster.shut_down()
            wait_until(lambda: not cluster.processes(), 20)
            cluster.database.dispose()
            if request.param == "postgresql":
                empty(url)
    finally:
        broker.stop()


@pytest.fixture(autouse=True)
def _show_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """The workers' log beside a failure."""
    yield
    name = next((name for name in ("cluster", "real_cluster") if name in request.fixturenames), None)
    if name is not None:
        log = request.getfixturevalue(name).folder / "worker.log"
        if log.exists():
            sys.stdout.write(log.read_text(errors="replace")[-4000:])
