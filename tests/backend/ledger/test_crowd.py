"""Many writers at once on the embedded database, and one that holds it for long: everybody gets a turn."""

import threading
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from backend.db.session import Database
from backend.ledger.job import JobKind, Worker
from backend.ledger.queries import Jobs
from backend.ledger.unit_of_work import NoNotifier, unit_of_work
from tests.backend.ledger.conftest import Books

TIMES = 15


@pytest.fixture
def embedded(sqlite_url: str) -> Iterator[Books]:
    """The ledger in a file."""
    database = Database(sqlite_url)
    yield Books(database)
    database.dispose()


def at_once(actions: list[Callable[[], None]]) -> list[BaseException]:
    """Do all of it at the same time; what went wrong."""
    wrong: list[BaseException] = []

    def guarded(action: Callable[[], None]) -> None:
        try:
            action()
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=guarded, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def test_b11_eight_writers_at_once_never_see_a_locked_database(embedded: Books) -> None:
    def work(number: int) -> Callable[[], None]:
        worker = Worker(f"worker-{number}", "host-1", f"cpu:{number}")

        def beat() -> None:
            with embedded.write() as ledger:
                ledger.add(JobKind.TRAIN, f"run-{number}")
            claim = embedded.claim(worker)
            assert claim is not None
            for _time in range(TIMES):
                with embedded.write() as ledger:
                    ledger.renew(claim.job_id, claim.attempt)
                    ledger.progress_seen(claim.job_id, claim.attempt)
            with embedded.write() as ledger:
                ledger.finish(claim.job_id, claim.attempt)

        return beat

    assert at_once([work(number) for number in range(8)]) == []
    with embedded.database.read() as session:
        assert Jobs(session).waiting() == {}


def test_b05_jobs_asked_for_while_the_database_is_held_are_all_there(embedded: Books) -> None:
    held, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with embedded.database.write() as session:
            session.execute(text("UPDATE jobs SET attempt = attempt"))
            held.set()
            enough.wait(1.0)

    def ask() -> None:
        held.wait()
        with unit_of_work(embedded.database, NoNotifier()) as unit:
            unit.enqueue(JobKind.TRAIN, "run-1")

    assert at_once([hold, *[ask] * 20]) == []
    with embedded.database.read() as session:
        assert Jobs(session).waiting() == {"train": 20}
