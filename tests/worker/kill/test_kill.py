"""Kills of real processes. After each, the run ends as if nothing had happened."""

import os
import signal

import pytest

from backend.ledger.job import JobKind
from tests.worker.kill.conftest import Cluster, parent_of, wait_until
from tests.worker.kill.steady_trainer import STEPS

pytestmark = pytest.mark.kill

EPOCHS = 8


def test_a_run_ends_undisturbed(cluster: Cluster) -> None:
    cluster.scale_to(2)
    run_id = cluster.run(epochs=3)

    cluster.wait_for_status(run_id, "succeeded")

    assert [row.epoch for row in cluster.epochs(run_id)] == [0, 1, 2]
    assert cluster.view(run_id).progress == 1
    wait_until(lambda: [row.outcome for row in cluster.attempts(run_id)] == ["done"])


def test_j01_it_survives_a_kill_of_the_trainer(cluster: Cluster) -> None:
    cluster.scale_to(2)
    run_id = cluster.run()
    cluster.wait_for_epochs(run_id, 3)

    os.kill(cluster.trainer_pid(run_id), signal.SIGKILL)

    _expect_whole(cluster, run_id)


def test_j02_it_survives_a_kill_of_the_supervisor(cluster: Cluster) -> None:
    cluster.scale_to(2)
    run_id = cluster.run()
    cluster.wait_for_epochs(run_id, 3)
    trainer = cluster.trainer_pid(run_id)

    os.kill(parent_of(trainer), signal.SIGKILL)

    wait_until(lambda: trainer not in cluster.processes(), 5)
    _expect_whole(cluster, run_id)


def test_j03_it_survives_a_kill_of_the_whole_worker(cluster: Cluster) -> None:
    cluster.scale_to(2)
    run_id = cluster.run()
    cluster.wait_for_epochs(run_id, 3)
    trainer = cluster.trainer_pid(run_id)
    before = cluster.processes()

    os.kill(cluster.host_pid(trainer), signal.SIGKILL)

    wait_until(lambda: trainer not in cluster.processes(), 5)
    assert len(cluster.processes()) < len(before)
    _expect_whole(cluster, run_id)


def test_j21_a_worker_that_leaves_gives_its_run_back_at_once_and_no_step_is_lost(cluster: Cluster) -> None:
    cluster.scale_to(2)
    run_id = cluster.run(epochs=12)
    cluster.wait_for_epochs(run_id, 2)

    leaver = cluster.host_pid(cluster.trainer_pid(run_id))
    os.kill(leaver, signal.SIGTERM)
    cluster.wait_for_status(run_id, "succeeded")
    wait_until(lambda: leaver not in cluster.processes())

    outcomes = [row.outcome for row in cluster.attempts(run_id)]
    assert outcomes[0] == "yielded"
    assert [row.epoch for row in cluster.epochs(run_id)] == list(range(12))
    assert cluster.steps(run_id) == every_step(12)


def test_j11_a_process_that_was_suspended_past_its_lease_changes_nothing(cluster: Cluster) -> None:
    cluster.scale_to(2)
    run_id = cluster.run()
    cluster.wait_for_epochs(run_id, 3)
    trainer = cluster.trainer_pid(run_id)
    supervisor = parent_of(trainer)
    os.kill(supervisor, signal.SIGSTOP)
    os.kill(trainer, signal.SIGSTOP)

    wait_until(lambda: len(cluster.attempts(run_id)) == 2)
    os.kill(supervisor, signal.SIGCONT)
    os.kill(trainer, signal.SIGCONT)

    wait_until(lambda: trainer not in cluster.processes(), 10)
    _expect_whole(cluster, run_id)


def test_a_broker_that_has_forgotten_everything_costs_only_time(cluster: Cluster) -> None:
    cluster.shut_down()
    run_id = cluster.run(epochs=2)
    cluster.flush_broker()

    cluster.scale_to(1)

    cluster.wait_for_status(run_id, "succeeded")


def test_j09_a_notification_that_comes_again_while_the_run_continues_starts_no_second(cluster: Cluster) -> None:
    cluster.scale_to(2)
    run_id = cluster.run(epochs=4)

    for _redelivery in range(3):
        wait_until(lambda: len(cluster.steps(run_id)) > 1)
        cluster.notifier.notify(JobKind.TRAIN)

    cluster.wait_for_status(run_id, "succeeded")
    assert len(cluster.attempts(run_id)) == 1


def test_j18_a_paused_run_continues_at_its_step_after_a_restart_of_everything(cluster: Cluster) -> None:
    assert cluster.broker is not None
    cluster.scale_to(1)
    run_id = cluster.run(epochs=6)
    wait_until(lambda: len(cluster.steps(run_id)) >= 6)

    cluster.pause(run_id)
    cluster.wait_for_status(run_id, "paused")
    cluster.shut_down()
    cluster.broker.stop()
    cluster.broker.start()
    cluster.scale_to(1)
    resting = cluster.view(run_id).status
    cluster.resume(run_id)
    cluster.wait_for_status(run_id, "succeeded")

    assert resting == "paused"
    assert cluster.steps(run_id) == every_step(6)
    wait_until(lambda: [row.outcome for row in cluster.attempts(run_id)] == ["paused", "done"])


def test_j21_a_second_signal_hurries_and_the_run_is_taken_up_as_after_a_kill(cluster: Cluster) -> None:
    cluster.scale_to(2)
    run_id = cluster.run()
    cluster.wait_for_epochs(run_id, 2)
    worker = cluster.host_pid(cluster.trainer_pid(run_id))

    os.kill(worker, signal.SIGTERM)
    os.kill(worker, signal.SIGTERM)

    wait_until(lambda: worker not in cluster.processes(), 15)
    _expect_whole(cluster, run_id)


def test_j10_fifty_notifications_at_once_make_one_attempt(cluster: Cluster) -> None:
    cluster.scale_to(2)
    run_id = cluster.run(epochs=4)

    for _notification in range(50):
        cluster.notifier.notify(JobKind.TRAIN)

    cluster.wait_for_status(run_id, "succeeded")
    assert len(cluster.attempts(run_id)) == 1


def test_j15_a_cancel_ends_a_running_run_within_seconds(cluster: Cluster) -> None:
    cluster.scale_to(2)
    run_id = cluster.run(epochs=500)
    cluster.wait_for_epochs(run_id, 1)
    trainer = cluster.trainer_pid(run_id)

    cluster.cancel(run_id)

    wait_until(lambda: cluster.view(run_id).status == "cancelled", 5)
    assert trainer not in cluster.processes()
    assert [row.outcome for row in cluster.attempts(run_id)] == ["cancelled"]


def test_j16_a_cancel_ends_a_process_that_ignores_it(cluster: Cluster) -> None:
    cluster.scale_to(2)
    run_id = cluster.run("deaf", epochs=500)
    cluster.wait_for_epochs(run_id, 1)
    trainer = cluster.trainer_pid(run_id)
    os.kill(trainer, signal.SIGSTOP)

    cluster.cancel(run_id)

    wait_until(lambda: cluster.view(run_id).status == "cancelled", 10)
    assert trainer not in cluster.processes()


def test_j06_a_run_that_dies_each_time_fails_with_a_reason(cluster: Cluster) -> None:
    cluster.scale_to(2)
    run_id = cluster.run("crashes")

    cluster.wait_for_status(run_id, "failed")

    view = cluster.view(run_id)
    assert view.failure is not None
    assert view.failure.code == "worker-killed"
    assert len(cluster.attempts(run_id)) == 3


def test_two_workers_share_the_work(cluster: Cluster) -> None:
    cluster.scale_to(2)
    first, second = cluster.run(epochs=10), cluster.run(epochs=10)

    cluster.wait_for_status(first, "succeeded")
    cluster.wait_for_status(second, "succeeded")

    assert cluster.attempts(first)[0].worker_id != cluster.attempts(second)[0].worker_id


def test_j15_a_cancelled_run_in_line_never_starts(cluster: Cluster) -> None:
    cluster.shut_down()
    run_id = cluster.run()

    cluster.cancel(run_id)
    cluster.scale_to(1)
    later = cluster.run(epochs=1)
    cluster.wait_for_status(later, "succeeded")

    assert cluster.view(run_id).status == "cancelled"
    assert cluster.attempts(run_id) == []


def test_nothing_is_left_when_all_have_left(cluster: Cluster) -> None:
    cluster.scale_to(2)
    run_id = cluster.run(epochs=500)
    cluster.wait_for_epochs(run_id, 1)

    cluster.shut_down()

    wait_until(lambda: not cluster.processes(), 5)
    assert cluster.view(run_id).status == "queued"
    cluster.cancel(run_id)


def _expect_whole(cluster: Cluster, run_id: str) -> None:
    """It succeeded by itself, its epochs without gap or double, at most one of them repeated."""
    cluster.wait_for_status(run_id, "succeeded")
    assert [row.epoch for row in cluster.epochs(run_id)] == list(range(EPOCHS))
    assert len(cluster.attempts(run_id)) == 2
    steps = cluster.steps(run_id)
    assert sorted(set(steps)) == every_step(EPOCHS)
    assert len(steps) - len(set(steps)) <= STEPS


def every_step(epochs: int) -> list[str]:
    """The trace of a run that was never disturbed."""
    return [f"{epoch}.{step}" for epoch in range(epochs) for step in range(STEPS)]
