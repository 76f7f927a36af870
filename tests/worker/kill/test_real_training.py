"""The same with the real network: one run that loses its trainer, its supervisor and its whole worker."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.worker.kill.conftest import Farm, parent_of, wait_until

pytestmark = [pytest.mark.kill, pytest.mark.weights]

EPOCHS = 12


def test_a_training_survives_three_kills(real_farm: Farm) -> None:
    farm = real_farm
    farm.staff(2)
    run_id = farm.run(epochs=EPOCHS)
    victims: list[Callable[[int], int]] = [lambda pid: pid, parent_of, farm.host_pid]

    for number, victim in enumerate(victims):
        farm.wait_for_epochs(run_id, 2 + 3 * number)
        os.kill(victim(farm.trainer_pid(run_id)), signal.SIGKILL)
    farm.wait_for_status(run_id, "succeeded")

    rows = farm.epochs(run_id)
    assert [row.epoch for row in rows] == list(range(EPOCHS))
    assert len({row.attempt for row in rows}) == 4
    # Each attempt went on exactly where the table ended: at most the epoch under way was repeated.
    begins = farm.first_epochs(run_id)
    assert begins == [sum(row.attempt < attempt for row in rows) for attempt in (1, 2, 3, 4)]
    (checkpoint,) = farm.view(run_id).checkpoints
    assert checkpoint.metrics["valid"]["images"] == 18
    assert (farm.folder / "storage" / "checkpoints" / checkpoint.folder / "model.onnx").is_file()
    wait_until(lambda: not (farm.folder / "storage" / "states" / run_id).exists(), 10)


def test_a_training_is_paused_at_a_step_continues_there_and_ends_after_its_epoch(real_farm: Farm) -> None:
    farm = real_farm
    farm.staff(1)
    run_id = farm.run(epochs=EPOCHS)
    farm.wait_for_epochs(run_id, 1)

    farm.pause(run_id)
    farm.wait_for_status(run_id, "paused")
    point = farm.newest_point(run_id)
    farm.resume(run_id)
    wait_until(lambda: len(farm.first_epochs(run_id)) == 2)
    farm.finish(run_id)
    farm.wait_for_status(run_id, "succeeded")

    rows = farm.epochs(run_id)
    assert [row.epoch for row in rows] == list(range(len(rows)))
    assert len(rows) < EPOCHS
    assert farm.first_epochs(run_id) == [0, point[0]]
    (checkpoint,) = farm.view(run_id).checkpoints
    assert checkpoint.metrics["valid"]["images"] == 18


@pytest.mark.parametrize("real_farm", ["sqlite"], indirect=True)
def test_j08_after_a_power_cut_it_continues_by_itself_from_what_is_whole(real_farm: Farm) -> None:
    """Everything is gone in one instant, and what was last written to files had not all reached the disk."""
    farm = real_farm
    farm.staff(1)
    run_id = farm.run(epochs=5)
    farm.wait_for_epochs(run_id, 2)

    for pid in farm.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not farm.processes())
    rows_before = len(farm.epochs(run_id))
    epoch, _ = farm.newest_point(run_id)
    lose_what_was_written_last(farm.newest_state_file(run_id))
    append_half_a_frame(farm.folder / "tellapart.sqlite3-wal")
    farm.staff(1)
    farm.wait_for_status(run_id, "succeeded")

    rows = farm.epochs(run_id)
    assert [row.epoch for row in rows] == list(range(5))
    # The newest point was spoilt, so it went on from the one before: one epoch more was learnt again.
    assert (rows_before, farm.first_epochs(run_id)) == (epoch, [0, epoch - 1])
    assert len(farm.attempts(run_id)) == 2
    (checkpoint,) = farm.view(run_id).checkpoints
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
