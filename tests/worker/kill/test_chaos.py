"""The broker and the database fail under real workers; no run is forgotten, none is done twice."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
import redis

from backend import migrations
from backend.ledger.celery_notifier import QUEUE_OF, CeleryNotifier
from backend.ledger.job import JobKind
from tests.fixtures.postgres import RestartablePostgres
from tests.worker.kill.conftest import STEADY, Broker, Cluster, wait_until
from tests.worker.kill.steady_trainer import STEPS
from tests.worker.kill.test_kill import every_step

pytestmark = pytest.mark.kill

QUEUE = f"tellapart:{QUEUE_OF[JobKind.TRAIN]}"


@pytest.fixture(scope="module")
def server() -> Iterator[RestartablePostgres]:
    """A PostgreSQL of our own, which may be restarted."""
    with TemporaryDirectory(prefix="tellapart-chaos-") as folder, RestartablePostgres(Path(folder)) as server:
        migrations.upgrade(server.url)
        yield server


@pytest.fixture(scope="module")
def chaos_cluster(server: RestartablePostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Workers on that server and a broker of their own."""
    folder = tmp_path_factory.mktemp("chaos")
    broker = Broker(folder / "broker")
    cluster = Cluster(folder, server.url, broker.url, STEADY, broker)
    try:
        yield cluster
    finally:
        cluster.shut_down()
        cluster.database.dispose()
        broker.stop()


def test_b01_b02_a_broker_that_is_down_and_comes_back_empty_costs_only_time(chaos_cluster: Cluster) -> None:
    assert chaos_cluster.broker is not None
    chaos_cluster.scale_to(2)
    chaos_cluster.broker.stop()

    run_id = chaos_cluster.run(epochs=1)
    assert chaos_cluster.view(run_id).status == "queued"
    chaos_cluster.broker.start()

    chaos_cluster.wait_for_status(run_id, "succeeded")
    assert len(chaos_cluster.attempts(run_id)) == 1


def test_b03_connections_that_are_cut_again_and_again_are_made_again(chaos_cluster: Cluster) -> None:
    chaos_cluster.scale_to(2)
    with redis.Redis.from_url(chaos_cluster.redis_url) as client:
        for _cut in range(10):
            client.client_kill_filter(_type="normal", skipme=True)
            time.sleep(0.1)

    run_id = chaos_cluster.run(epochs=1)

    chaos_cluster.wait_for_status(run_id, "succeeded")
    assert len(chaos_cluster.attempts(run_id)) == 1


def test_b04_a_broker_without_memory_refuses_notifications_and_the_run_starts_all_the_same(
    chaos_cluster: Cluster,
) -> None:
    chaos_cluster.scale_to(1)
    with redis.Redis.from_url(chaos_cluster.redis_url) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
        try:
            run_id = chaos_cluster.run(epochs=1)
            chaos_cluster.wait_for_status(run_id, "succeeded")
        finally:
            client.config_set("maxmemory", "0")
    assert len(chaos_cluster.attempts(run_id)) == 1


def test_b06_a_notification_that_was_taken_and_lost_is_sent_again(chaos_cluster: Cluster) -> None:
    chaos_cluster.shut_down()
    chaos_cluster.flush_broker()
    chaos_cluster.notifier = CeleryNotifier(chaos_cluster.redis_url)  # the one before may still be waiting
    run_id = chaos_cluster.run(epochs=1)
    with redis.Redis.from_url(chaos_cluster.redis_url) as client:
        taken = client.lpop(QUEUE)

    chaos_cluster.scale_to(1)

    assert taken is not None
    chaos_cluster.wait_for_status(run_id, "succeeded")


def test_b07_a_worker_that_leaves_in_the_instant_of_a_notification_leaves_no_run_behind(chaos_cluster: Cluster) -> None:
    runs = []
    for _time in range(2):
        chaos_cluster.scale_to(1)
        runs.append(chaos_cluster.run(epochs=1))
        chaos_cluster.shut_down(signal.SIGTERM)

    chaos_cluster.scale_to(1)

    for run_id in runs:
        chaos_cluster.wait_for_status(run_id, "succeeded")


def test_b08_hundreds_of_stale_notifications_are_handled_and_no_run_is_done_twice(chaos_cluster: Cluster) -> None:
    chaos_cluster.shut_down()
    chaos_cluster.flush_broker()
    chaos_cluster.notifier = CeleryNotifier(chaos_cluster.redis_url)
    run_id = chaos_cluster.run(epochs=2)
    with redis.Redis.from_url(chaos_cluster.redis_url) as client:
        (message,) = client.lrange(QUEUE, 0, -1)
        client.lpush(QUEUE, *[message] * 299)
        chaos_cluster.scale_to(2)

        wait_until(lambda: client.llen(QUEUE) == 0)

    chaos_cluster.wait_for_status(run_id, "succeeded")
    assert len(chaos_cluster.attempts(run_id)) == 1


def test_b09_a_restart_of_the_database_in_the_middle_only_delays(
    chaos_cluster: Cluster, server: RestartablePostgres
) -> None:
    chaos_cluster.scale_to(2)
    run_id = chaos_cluster.run(epochs=6)
    chaos_cluster.wait_for_epochs(run_id, 2)

    server.stop()
    time.sleep(1.0)
    server.start()

    wait_until(lambda: _is_done(chaos_cluster, run_id))
    assert [row.epoch for row in chaos_cluster.epochs(run_id)] == list(range(6))
    assert chaos_cluster.steps(run_id) == every_step(6)
    assert len(chaos_cluster.attempts(run_id)) == 1


def test_b10_connections_that_are_killed_every_moment_make_no_wrong_state(
    chaos_cluster: Cluster, server: RestartablePostgres
) -> None:
    chaos_cluster.scale_to(2)
    run_id = chaos_cluster.run(epochs=8)
    chaos_cluster.wait_for_epochs(run_id, 1)
    enough = threading.Event()
    killer = threading.Thread(target=_kill_connections, args=(server.url, enough))
    killer.start()

    wait_until(lambda: len(chaos_cluster.steps(run_id)) >= 6 * STEPS)
    enough.set()
    killer.join()

    wait_until(lambda: _is_done(chaos_cluster, run_id))
    assert [row.epoch for row in chaos_cluster.epochs(run_id)] == list(range(8))
    assert chaos_cluster.steps(run_id) == every_step(8)


def _is_done(cluster: Cluster, run_id: str) -> bool:
    """Whether it has succeeded; our own connections are among those that are cut."""
    try:
        return cluster.view(run_id).status == "succeeded"
    except Exception:  # whichever way a cut connection shows itself here
        return False


def _kill_connections(url: str, enough: threading.Event) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        while not enough.wait(0.4):
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
