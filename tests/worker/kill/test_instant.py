"""Notifications by the hundred and thousand, acknowledged at once as Celery does, by workers in this process."""

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from backend.db.session import Database
from backend.ledger.celery_notifier import QUEUE_OF, CeleryNotifier
from backend.ledger.claiming import claim_next
from backend.ledger.job import TRAINER_CRASHED, Claim, JobKind, JobState, Outcome
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.ledger.sweep import Sweeper
from tests.conftest import CollectingNotifier
from tests.fixtures.nightly import rounds
from tests.worker.kill.conftest import TIMERS, Broker
from tests.worker.supervising import attempts, ordered_run, view_of
from worker.identity import WorkerContext
from worker.supervisor import run_waiting_jobs

pytestmark = pytest.mark.kill

TIMES = rounds(60, 200)
QUEUE = f"tellapart:{QUEUE_OF[JobKind.TRAIN]}"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A real Valkey."""
    broker = Broker(tmp_path / "broker")
    yield broker
    broker.stop()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_b07_two_hundred_times_the_end_comes_with_the_notification_and_no_job_is_left(
    context: WorkerContext, broker: Broker, notifier: CollectingNotifier
) -> None:
    """Each time the notification is taken for good, as Celery takes it, and the end comes within the next milliseconds:

    before the ledger is looked at, while the job is claimed, or while its process starts.
    """
    context = replace(
        context,
        identity=replace(context.identity, trainer="tests.worker.kill.leaver", timers=replace(TIMERS, flags=0.01)),
    )
    celery, chance, flag = CeleryNotifier(broker.url), random.Random(7), Path(context.identity.drain_flag)
    jobs = []
    with redis.Redis.from_url(broker.url) as client:
        for _time in range(TIMES):
            with context.database.write() as session:
                jobs.append(Ledger(session).add(JobKind.TRAIN, "run"))
            celery.notify(JobKind.TRAIN)
            leaving = threading.Timer(chance.uniform(0, 0.012), flag.touch)
            leaving.start()
            assert client.lpop(QUEUE) is not None
            run_waiting_jobs(context, JobKind.TRAIN)
            leaving.join()
            flag.unlink()
        assert client.llen(QUEUE) == 0

    # Nobody holds any of them, nothing was counted against them, and the sweep notifies for them.
    with context.database.read() as session:
        states = [(job.state, job.no_progress) for job in map(Jobs(session).find, jobs) if job]
        tried = sum(len(Jobs(session).attempts(job_id)) for job_id in jobs)
        assert all(row.ended_at for job_id in jobs for row in Jobs(session).attempts(job_id))
    assert states == [(JobState.QUEUED, 0)] * TIMES
    assert tried > 0
    notifier.notifications.clear()
    time.sleep(TIMERS.notify_again)
    assert Sweeper(context.database, notifier, TIMERS).sweep().notified == (JobKind.TRAIN,)
    done = [claim.job_id for claim in all_that_wait(context)]
    assert sorted(done) == sorted(jobs)


def all_that_wait(context: WorkerContext) -> Iterator[Claim]:
    """Take and do every job that waits."""
    while claim := claim_next(context.database, JobKind.TRAIN, context.identity.worker(JobKind.TRAIN), TIMERS):
        finish(context.database, claim)
        yield claim


def finish(database: Database, claim: Claim) -> None:
    with database.write() as session:
        ledger = Ledger(session)
        ledger.finish(claim.job_id, claim.attempt)
        ledger.close(claim.job_id, claim.attempt, Outcome.DONE, failure=TRAINER_CRASHED)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_b08_ten_thousand_stale_notifications_are_handled_and_no_run_is_done_twice(
    context: WorkerContext, broker: Broker
) -> None:
    run_id = ordered_run(context, epochs=1)
    CeleryNotifier(broker.url).notify(JobKind.TRAIN)
    done: list[int] = []

    def listen(number: int) -> None:
        identity = replace(context.identity, worker_id=f"worker-{number}", device=f"cpu:{number}")
        with redis.Redis.from_url(broker.url) as client:
            while client.lpop(QUEUE) is not None:
                done.append(run_waiting_jobs(replace(context, identity=identity), JobKind.TRAIN))

    with redis.Redis.from_url(broker.url) as client:
        (message,) = client.lrange(QUEUE, 0, -1)
        client.lpush(QUEUE, *[message] * 9_999)
    listeners = [threading.Thread(target=listen, args=(number,)) for number in range(4)]
    for listener in listeners:
        listener.start()
    for listener in listeners:
        listener.join()

    assert (len(done), sum(done)) == (10_000, 1)
    assert view_of(context, run_id).status == "succeeded"
    assert len(attempts(context, run_id)) == 1
