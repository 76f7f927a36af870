"""The same with the real network: one run that loses its trainer, its supervisor and its whole worker."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.worker.kill.conftest import Cluster, parent_of, wait_until

pytestmark = [pytest.mark.kill, pytest.mark.weights]

EPOCHS = 12


def test_a_training_survives_three_kills(real_cluster: Cluster) -> None:
    cluster = real_cluster
    cluster.scale_to(2)
    run_id = cluster.run(epochs=EPOCHS)
    victims: list[Callable[[int], int]] = [lambda pid: pid, parent_of, cluster.host_pid]

    for number, victim in enumerate(victims):
        cluster.wait_for_epochs(run_id, 2 + 3 * number)
        os.kill(victim(cluster.trainer_pid(run_id)), signal.SIGKILL)
    cluster.wait_for_status(run_id, "succeeded")

    rows = cluster.epochs(run_id)
    assert [row.epoch for row in rows] == list(range(EPOCHS))
    assert len({row.attempt for row in rows}) == 4
    # Each attempt went on exactly where the table ended: at most the epoch under way was repeated.
    begins = cluster.first_epochs(run_id)
    assert begins == [sum(row.attempt < attempt for row in rows) for attempt in (1, 2, 3, 4)]
    (checkpoint,) = cluster.view(run_id).checkpoints
    assert checkpoint.metrics["valid"]["images"] == 18
    assert (cluster.folder / "storage" / "checkpoints" / checkpoint.folder / "model.onnx").is_file()
    wait_until(lambda: not (cluster.folder / "storage" / "states" / run_id).exists(), 10)


def test_a_training_is_paused_at_a_step_continues_there_and_ends_after_its_epoch(real_cluster: Cluster) -> None:
    cluster = real_cluster
    cluster.scale_to(1)
    run_id = cluster.run(epochs=EPOCHS)
    cluster.wait_for_epochs(run_id, 1)

    cluster.pause(run_id)
    cluster.wait_for_status(run_id, "paused")
    point = cluster.newest_point(run_id)
    cluster.resume(run_id)
    wait_until(lambda: len(cluster.first_epochs(run_id)) == 2)
    cluster.finish(run_id)
    cluster.wait_for_status(run_id, "succeeded")

    rows = cluster.epochs(run_id)
    assert [row.epoch for row in rows] == list(range(len(rows)))
    assert len(rows) < EPOCHS
    assert cluster.first_epochs(run_id) == [0, point[0]]
    (checkpoint,) = cluster.view(run_id).checkpoints
    assert checkpoint.metrics["valid"]["images"] == 18


@pytest.mark.parametrize("real_cluster", ["sqlite"], indirect=True)
def test_j08_after_a_power_cut_it_continues_by_itself_from_what_is_whole(real_cluster: Cluster) -> None:
    """Everything is gone in one instant, and what was last written to files had not all reached the disk."""
    cluster = real_cluster
    cluster.scale_to(1)
    run_id = cluster.run(epochs=5)
    cluster.wait_for_epochs(run_id, 2)

    for pid in cluster.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not cluster.processes())
    rows_before = len(cluster.epochs(run_id))
    epoch, _ = cluster.newest_point(run_id)
    lose_what_was_written_last(cluster.newest_state_file(run_id))
    append_half_a_frame(cluster.folder / "tellapart.sqlite3-wal")
    cluster.scale_to(1)
    cluster.wait_for_status(run_id, "succeeded")

    rows = cluster.epochs(run_id)
    assert [row.epoch for row in rows] == list(range(5))
    # The newest point was spoilt, so it went on from the one before: one epoch more was learnt again.
    assert (rows_before, cluster.first_epochs(run_id)) == (epoch, [0, epoch - 1])
    assert len(cluster.attempts(run_id)) == 2
    (checkpoint,) = cluster.view(run_id).checkpoints
    assert checkpoint.metrics["valid"]["images"] == 18


def lose_what_was_written_last(file: Path) -> None:
    """The length is there and the last bytes are zeros, as filesystems leave it."""
    with file.open("r+b") as content:
        end = content.seek(0, os.SEEK_END)
        content.seek(end - 4096)
        content.write(bytes(4096))


def append_half_a_frame(wal: Path) -> None:
    """A write to the ledger's log that was under way: its checksum can't be right."""
    with wal.open("ab") as content:
        content.write(os.urandom(2000))
