"""Kills of real processes. After each, the run ends as if nothing had happened."""

import os
import signal

import pytest

from backend.ledger.job import JobKind
from tests.worker.kill.conftest import Farm, parent_of, wait_until
from tests.worker.kill.steady_trainer import STEPS

pytestmark = pytest.mark.kill

EPOCHS = 8


def test_a_run_ends_undisturbed(farm: Farm) -> None:
    farm.staff(2)
    run_id = farm.run(epochs=3)

    farm.wait_for_status(run_id, "succeeded")

    assert [row.epoch for row in farm.epochs(run_id)] == [0, 1, 2]
    assert farm.view(run_id).progress == 1
    wait_until(lambda: [row.outcome for row in farm.attempts(run_id)] == ["done"])


def test_j01_it_survives_a_kill_of_the_trainer(farm: Farm) -> None:
    farm.staff(2)
    run_id = farm.run()
    farm.wait_for_epochs(run_id, 3)

    os.kill(farm.trainer_pid(run_id), signal.SIGKILL)

    _expect_whole(farm, run_id)


def test_j02_it_survives_a_kill_of_the_supervisor(farm: Farm) -> None:
    farm.staff(2)
    run_id = farm.run()
    farm.wait_for_epochs(run_id, 3)
    trainer = farm.trainer_pid(run_id)

    os.kill(parent_of(trainer), signal.SIGKILL)

    wait_until(lambda: trainer not in farm.processes(), 5)
    _expect_whole(farm, run_id)


def test_j03_it_survives_a_kill_of_the_whole_worker(farm: Farm) -> None:
    farm.staff(2)
    run_id = farm.run()
    farm.wait_for_epochs(run_id, 3)
    trainer = farm.trainer_pid(run_id)
    before = farm.processes()

    os.kill(farm.host_pid(trainer), signal.SIGKILL)

    wait_until(lambda: trainer not in farm.processes(), 5)
    assert len(farm.processes()) < len(before)
    _expect_whole(farm, run_id)


def test_j21_a_worker_that_leaves_gives_its_run_back_at_once_and_no_step_is_lost(farm: Farm) -> None:
    farm.staff(2)
    run_id = farm.run(epochs=12)
    farm.wait_for_epochs(run_id, 2)

    leaver = farm.host_pid(farm.trainer_pid(run_id))
    os.kill(leaver, signal.SIGTERM)
    farm.wait_for_status(run_id, "succeeded")
    wait_until(lambda: leaver not in farm.processes())

    outcomes = [row.outcome for row in farm.attempts(run_id)]
    assert outcomes[0] == "yielded"
    assert [row.epoch for row in farm.epochs(run_id)] == list(range(12))
    assert farm.steps(run_id) == every_step(12)


def test_j11_who_was_asleep_wakes_up_to_nothing(farm: Farm) -> None:
    farm.staff(2)
    run_id = farm.run()
    farm.wait_for_epochs(run_id, 3)
    trainer = farm.trainer_pid(run_id)
    supervisor = parent_of(trainer)
    os.kill(supervisor, signal.SIGSTOP)
    os.kill(trainer, signal.SIGSTOP)

    wait_until(lambda: len(farm.attempts(run_id)) == 2)
    os.kill(supervisor, signal.SIGCONT)
    os.kill(trainer, signal.SIGCONT)

    wait_until(lambda: trainer not in farm.processes(), 10)
    _expect_whole(farm, run_id)


def test_a_broker_that_has_forgotten_everything_costs_only_time(farm: Farm) -> None:
    farm.dismiss()
    run_id = farm.run(epochs=2)
    farm.flush_broker()

    farm.staff(1)

    farm.wait_for_status(run_id, "succeeded")


def test_j09_a_notification_that_comes_again_while_the_run_continues_starts_no_second(farm: Farm) -> None:
    farm.staff(2)
    run_id = farm.run(epochs=4)

    for _redelivery in range(3):
        wait_until(lambda: len(farm.steps(run_id)) > 1)
        farm.notifier.notify(JobKind.TRAIN)

    farm.wait_for_status(run_id, "succeeded")
    assert len(farm.attempts(run_id)) == 1


def test_j18_a_paused_run_continues_at_its_step_after_a_restart_of_everything(farm: Farm) -> None:
    assert farm.broker is not None
    farm.staff(1)
    run_id = farm.run(epochs=6)
    wait_until(lambda: len(farm.steps(run_id)) >= 6)

    farm.pause(run_id)
    farm.wait_for_status(run_id, "paused")
    farm.dismiss()
    farm.broker.stop()
    farm.broker.start()
    farm.staff(1)
    resting = farm.view(run_id).status
    farm.resume(run_id)
    farm.wait_for_status(run_id, "succeeded")

    assert resting == "paused"
    assert farm.steps(run_id) == every_step(6)
    wait_until(lambda: [row.outcome for row in farm.attempts(run_id)] == ["paused", "done"])


def test_j21_a_second_signal_hurries_and_the_run_is_taken_up_as_after_a_kill(farm: Farm) -> None:
    farm.staff(2)
    run_id = farm.run()
    farm.wait_for_epochs(run_id, 2)
    worker = farm.host_pid(farm.trainer_pid(run_id))

    os.kill(worker, signal.SIGTERM)
    os.kill(worker, signal.SIGTERM)

    wait_until(lambda: worker not in farm.processes(), 15)
    _expect_whole(farm, run_id)


def test_j10_fifty_notifications_at_once_make_one_attempt(farm: Farm) -> None:
    farm.staff(2)
    run_id = farm.run(epochs=4)

    for _notification in range(50):
        farm.notifier.notify(JobKind.TRAIN)

    farm.wait_for_status(run_id, "succeeded")
    assert len(farm.attempts(run_id)) == 1


def test_j15_a_cancel_ends_a_running_run_within_seconds(farm: Farm) -> None:
    farm.staff(2)
    run_id = farm.run(epochs=500)
    farm.wait_for_epochs(run_id, 1)
    trainer = farm.trainer_pid(run_id)

    farm.cancel(run_id)

    wait_until(lambda: farm.view(run_id).status == "cancelled", 5)
    assert trainer not in farm.processes()
    assert [row.outcome for row in farm.attempts(run_id)] == ["cancelled"]


def test_j16_a_cancel_ends_even_who_does_not_listen(farm: Farm) -> None:
    farm.staff(2)
    run_id = farm.run("deaf", epochs=500)
    farm.wait_for_epochs(run_id, 1)
    trainer = farm.trainer_pid(run_id)
    os.kill(trainer, signal.SIGSTOP)

    farm.cancel(run_id)

    wait_until(lambda: farm.view(run_id).status == "cancelled", 10)
    assert trainer not in farm.processes()


def test_j06_a_run_that_dies_each_time_fails_with_a_reason(farm: Farm) -> None:
    farm.staff(2)
    run_id = farm.run("crashes")

    farm.wait_for_status(run_id, "failed")

    view = farm.view(run_id)
    assert view.failure is not None
    assert view.failure.code == "worker-killed"
    assert len(farm.attempts(run_id)) == 3


def test_two_workers_share_the_work(farm: Farm) -> None:
    farm.staff(2)
    first, second = farm.run(epochs=10), farm.run(epochs=10)

    farm.wait_for_status(first, "succeeded")
    farm.wait_for_status(second, "succeeded")

    assert farm.attempts(first)[0].worker_id != farm.attempts(second)[0].worker_id


def test_j15_a_cancelled_run_in_line_never_starts(farm: Farm) -> None:
    farm.dismiss()
    run_id = farm.run()

    farm.cancel(run_id)
    farm.staff(1)
    later = farm.run(epochs=1)
    farm.wait_for_status(later, "succeeded")

    assert farm.view(run_id).status == "cancelled"
    assert farm.attempts(run_id) == []


def test_nothing_is_left_when_all_have_left(farm: Farm) -> None:
    farm.staff(2)
    run_id = farm.run(epochs=500)
    farm.wait_for_epochs(run_id, 1)

    farm.dismiss()

    wait_until(lambda: not farm.processes(), 5)
    assert farm.view(run_id).status == "queued"
    farm.cancel(run_id)


def _expect_whole(farm: Farm, run_id: str) -> None:
    """It succeeded by itself, its epochs without gap or double, at most one of them repeated."""
    farm.wait_for_status(run_id, "succeeded")
    assert [row.epoch for row in farm.epochs(run_id)] == list(range(EPOCHS))
    assert len(farm.attempts(run_id)) == 2
    steps = farm.steps(run_id)
    assert sorted(set(steps)) == every_step(EPOCHS)
    assert len(steps) - len(set(steps)) <= STEPS


def every_step(epochs: int) -> list[str]:
    """The trace of a run that was never disturbed."""
    return [f"{epoch}.{step}" for epoch in range(epochs) for step in range(STEPS)]
