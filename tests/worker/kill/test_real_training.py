"""The same with the real network: one run that loses its trainer, its supervisor and its whole worker."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.worker.kill.conftest import Cluster, parent_of, wait_until

pytestmark = [pytest.mark.kill, pytest.mark.weights]

EPOCHS = 90
"""More than any of these tests waits for."""


def test_a_training_survives_three_kills(real_cluster: Cluster) -> None:
    cluster = real_cluster
    cluster.scale_to(2)
    run_id = cluster.run(epochs=EPOCHS)
    victims: list[Callable[[int], int]] = [lambda pid: pid, parent_of, cluster.host_pid]

    points = [0]

    for victim in victims:
        cluster.wait_for_point(run_id, points[-1] + 1)
        trainer = cluster.trainer_pid(run_id)
        os.kill(victim(trainer), signal.SIGKILL)
        wait_until(lambda trainer=trainer: trainer not in cluster.processes())  # type: ignore[misc]
        points.append(cluster.newest_point(run_id)[0])
    wait_until(lambda: len(cluster.first_epochs(run_id)) == len(points))
    cluster.finish(run_id)
    cluster.wait_for_status(run_id, "succeeded")

    rows = cluster.epochs(run_id)
    assert [row.epoch for row in rows] == list(range(len(rows)))
    assert len(rows) < EPOCHS
    assert len(cluster.attempts(run_id)) == 4
    # Each attempt went on from what was saved last; no row of the table was lost or is there twice.
    assert cluster.first_epochs(run_id) == points
    assert 0 < points[1] < points[2] < points[3]
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
    run_id = cluster.run(epochs=EPOCHS)
    cluster.wait_for_point(run_id, 1)

    for pid in cluster.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not cluster.processes())
    rows_before = len(cluster.epochs(run_id))
    (newest, _), (before, _), *_ = cluster.points(run_id)
    lose_what_was_written_last(cluster.newest_state_file(run_id))
    append_half_a_frame(cluster.folder / "tellapart.sqlite3-wal")
    cluster.scale_to(1)
    wait_until(lambda: len(cluster.first_epochs(run_id)) == 2)
    cluster.finish(run_id)
    cluster.wait_for_status(run_id, "succeeded")

    rows = cluster.epochs(run_id)
    assert [row.epoch for row in rows] == list(range(len(rows)))
    # The newest point was spoilt, so it went on from the one before, or from the beginning.
    assert before < newest <= rows_before < EPOCHS
    assert cluster.first_epochs(run_id) == [0, before]
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
