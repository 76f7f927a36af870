import threading
from datetime import datetime, timedelta, tzinfo
from typing import Self

import pytest
from sqlalchemy.exc import OperationalError

from backend.db.session import Database
from backend.ledger.clock import database_now
from backend.ledger.job import WORKER_LOST, JobKind
from backend.ledger.sweep import Sweeper, Swept
from backend.ledger.timers import Timers
from tests.backend.ledger.conftest import OTHER_WORKER, WORKER, Books
from tests.conftest import CollectingNotifier


class Clock:
    """A monotonic clock that stands until it is moved."""

    now = 1000.0

    def __call__(self) -> float:
        """The time that was set."""
        return self.now


def _sweeper(books: Books, notifier: CollectingNotifier) -> Sweeper:
    clock = Clock()
    sweeper = Sweeper(books.database, notifier, Timers(), monotonic=clock)
    clock.now += 61
    return sweeper


def test_it_puts_a_lost_job_back_and_notifies(books: Books, notifier: CollectingNotifier) -> None:
    claim = books.claimed()
    books.let_lease_expire(claim.job_id)

    swept = _sweeper(books, notifier).sweep()

    assert swept == Swept(requeued=1, ended=0, notified=(JobKind.TRAIN,))
    assert notifier.notifications == [JobKind.TRAIN]
    (attempt,) = books.attempts(claim.job_id)
    assert attempt.outcome == "lost"
    again = books.claim(OTHER_WORKER)
    assert again is not None
    assert again.attempt == 2


def test_it_finds_a_worker_that_died_before_its_first_heartbeat(books: Books, notifier: CollectingNotifier) -> None:
    claim = books.claimed()
    books.change(claim.job_id, lease_expires_at=None, last_heartbeat_at=None)

    _sweeper(books, notifier).sweep()

    assert books.job(claim.job_id).state == "queued"


def test_j13_a_machine_whose_clock_is_wrong_loses_no_lease(
    books: Books, notifier: CollectingNotifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.db.base.datetime", Ahead)
    claim = books.claimed()

    swept = _sweeper(books, notifier).sweep()

    assert (swept.requeued, swept.ended) == (0, 0)
    job = books.job(claim.job_id)
    assert job.last_heartbeat_at is not None
    assert 590 < (job.created_at - job.last_heartbeat_at).total_seconds() < 610


def test_it_leaves_a_job_that_is_held(books: Books, notifier: CollectingNotifier) -> None:
    claim = books.claimed()

    swept = _sweeper(books, notifier).sweep()

    assert swept == Swept()
    assert books.job(claim.job_id).state == "starting"


def test_it_cancels_a_lost_job_that_nobody_wants(books: Books, notifier: CollectingNotifier) -> None:
    claim = books.claimed()
    with books.write() as ledger:
        ledger.cancel(claim.job_id)
    books.let_lease_expire(claim.job_id)

    swept = _sweeper(books, notifier).sweep()

    assert (swept.ended, books.job(claim.job_id).state) == (1, "cancelled")


def test_it_pauses_a_lost_job_that_was_to_pause(books: Books, notifier: CollectingNotifier) -> None:
    claim = books.claimed()
    books.change(claim.job_id, desired="pause", state="stopping")
    books.let_lease_expire(claim.job_id)

    _sweeper(books, notifier).sweep()

    assert books.job(claim.job_id).state == "paused"


def test_it_gives_up_after_three_lost_workers_and_reports_it(books: Books, notifier: CollectingNotifier) -> None:
    job_id = books.add()
    for _try in range(3):
        books.change(job_id, not_before=database_now(-1))
        assert books.claim() is not None
        books.let_lease_expire(job_id)
        _sweeper(books, notifier).sweep()

    job = books.job(job_id)
    assert (job.state, job.error_code) == ("failed", "worker-lost")
    assert job.error_message == WORKER_LOST.message
    assert WORKER_LOST.message.startswith("Contact with the worker was lost several times in a row")


def test_it_waits_for_a_minute_after_its_start(books: Books, notifier: CollectingNotifier) -> None:
    claim = books.claimed()
    books.let_lease_expire(claim.job_id)
    clock = Clock()
    sweeper = Sweeper(books.database, notifier, Timers(), monotonic=clock)

    clock.now += 59
    startup_grace = sweeper.sweep()
    clock.now += 2
    late = sweeper.sweep()

    assert (startup_grace.startup_grace, startup_grace.requeued) == (True, 0)
    assert (late.startup_grace, late.requeued) == (False, 1)


def test_it_waits_after_the_database_was_away(books: Books, notifier: CollectingNotifier, database: Database) -> None:
    claim = books.claimed()
    books.let_lease_expire(claim.job_id)
    clock = Clock()
    flaky = Flaky(database)
    sweeper = Sweeper(flaky, notifier, Timers(), monotonic=clock)
    clock.now += 61
    flaky.is_away = True
    away = sweeper.sweep()
    flaky.is_away = False

    clock.now += 59
    startup_grace = sweeper.sweep()
    clock.now += 2
    late = sweeper.sweep()

    assert [away.startup_grace, startup_grace.startup_grace, late.startup_grace] == [True, True, False]
    assert late.requeued == 1


def test_it_notifies_for_a_job_without_notification(books: Books, notifier: CollectingNotifier) -> None:
    job_id = books.add("import-1", JobKind.IMPORT)
    sweeper = _sweeper(books, notifier)
    sweeper.sweep()
    assert notifier.notifications == []

    books.change(job_id, last_notified_at=database_now(-16))
    sweeper.sweep()
    sweeper.sweep()

    assert notifier.notifications == [JobKind.IMPORT]


def test_it_does_not_notify_before_the_time_of_the_next_try(books: Books, notifier: CollectingNotifier) -> None:
    job_id = books.add()
    books.change(job_id, last_notified_at=None, not_before=database_now(30))

    _sweeper(books, notifier).sweep()

    assert notifier.notifications == []


def test_it_frees_a_device_whose_worker_died_after_the_job_had_ended(
    books: Books, notifier: CollectingNotifier
) -> None:
    claim = books.claimed()
    with books.write() as ledger:
        ledger.finish(claim.job_id, claim.attempt)
    sweeper = _sweeper(books, notifier)
    sweeper.sweep()
    assert books.attempts(claim.job_id)[0].ended_at is None

    books.let_lease_expire(claim.job_id)
    sweeper.sweep()

    assert books.attempts(claim.job_id)[0].outcome == "lost"
    books.add("run-2")
    assert books.claim(WORKER) is not None


class Ahead(datetime):
    """A clock that is ten minutes fast."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """Ten minutes too late."""
        return super().now(tz) + timedelta(minutes=10)


class Flaky(Database):
    """A database that can be made to be away."""

    def __init__(self, real: Database) -> None:
        self._real = real
        self.is_away = False

    def write(self):  # type: ignore[no-untyped-def] # the same as Database.write
        """As the real one, unless it is away."""
        if self.is_away:
            raise OperationalError("BEGIN", {}, ConnectionError("away"))
        return self._real.write()


def test_a_sweep_that_fails_does_not_end_the_thread(database: Database, notifier: CollectingNotifier) -> None:
    sweeps = 0

    class Stop(threading.Event):
        """Set after three waits."""

        def wait(self, timeout: float | None = None) -> bool:
            nonlocal sweeps
            sweeps += 1
            return sweeps > 3

    def broken() -> int:
        raise ZeroDivisionError

    sweeper = Sweeper(database, notifier, free_bytes=broken)
    sweeper.run(Stop())

    assert sweeps == 4
