"""The ledger is the truth: without a broker, or with one that never notifies, a run starts all the same."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.kill.conftest import STEADY, TIMERS, Cluster, wait_until

pytestmark = pytest.mark.kill


@pytest.fixture(params=["none", "dead"])
def silent_cluster(request: pytest.FixtureRequest, tmp_path: Path, migrated_sqlite: Path) -> Iterator[Cluster]:
    """A worker that no notification reaches."""
    shutil.copy(migrated_sqlite, tmp_path / "tellapart.sqlite3")
    cluster = Cluster(tmp_path, f"sqlite:///{tmp_path / 'tellapart.sqlite3'}", f"unix://{tmp_path}/nobody.sock", STEADY)
    environment = {**os.environ, "TELLAPART_DATA": str(tmp_path), "TELLAPART_DEVICE": "cpu"}
    for name in ("DATABASE_URL", "REDIS_URL", "STORAGE_URL"):
        environment.pop(name, None)
    if request.param == "dead":
        environment["REDIS_URL"] = cluster.redis_url
    command = [sys.executable, "-m", "worker", "--timers", TIMERS.to_json(), "--trainer", STEADY]
    with (tmp_path / "worker.log").open("ab") as log:
        cluster.workers.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
    yield cluster
    cluster.shut_down(signal.SIGTERM)
    wait_until(lambda: not cluster.processes(), 5)
    cluster.database.dispose()


def test_a_run_starts_and_ends(silent_cluster: Cluster) -> None:
    run_id = silent_cluster.run(epochs=2)

    silent_cluster.wait_for_status(run_id, "succeeded")

    assert len(silent_cluster.attempts(run_id)) == 1


def test_j17_a_cancel_needs_no_broker(silent_cluster: Cluster) -> None:
    run_id = silent_cluster.run(epochs=500)
    silent_cluster.wait_for_epochs(run_id, 1)

    silent_cluster.cancel(run_id)

    wait_until(lambda: silent_cluster.view(run_id).status == "cancelled", 10)


def test_it_survives_a_kill_of_the_trainer(silent_cluster: Cluster) -> None:
    run_id = silent_cluster.run()
    silent_cluster.wait_for_epochs(run_id, 2)

    os.kill(silent_cluster.trainer_pid(run_id), signal.SIGKILL)

    silent_cluster.wait_for_status(run_id, "succeeded")
    assert [row.epoch for row in silent_cluster.epochs(run_id)] == list(range(8))
