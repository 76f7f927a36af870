"""The same with the real network: one run that loses its trainer, its supervisor and its whole worker."""

import os
import signal
from collections.abc import Callable

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


def test_a_training_is_paused_at_a_step_goes_on_there_and_ends_after_its_epoch(real_farm: Farm) -> None:
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
