"""One attempt at an import, by the process that makes it."""

import pytest

from backend.datasets.imports import cancel_import, take_archive
from backend.datasets.repository import DatasetRepository
from backend.db.session import Database
from backend.ledger.claiming import claim_next
from backend.ledger.job import Claim, JobKind, Worker
from backend.ledger.timers import Timers
from backend.ledger.unit_of_work import NoNotifier, OpenUnit, unit_of_work
from backend.settings import Settings
from backend.storage.local import LocalStorage
from tests.fixtures.archives import tarred, zipped
from tests.fixtures.pictures import draw, encode
from worker import exits
from worker.engine.order import NeverStop, StopSignal
from worker.import_job import import_job


class StopAfter(NeverStop):
    """Asks to stop after so many questions."""

    def __init__(self, questions: int) -> None:
        self._left = questions

    def requested(self) -> bool:
        self._left -= 1
        return self._left < 0


class House:
    """A dataset, and a worker that imports into it."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings, self.database = settings, database
        self.storage = LocalStorage(settings.storage_folder)
        with database.write() as session:
            self.dataset_id = DatasetRepository(session).add("Pets").id

    def open_unit(self) -> OpenUnit:
        return lambda: unit_of_work(self.database, NoNotifier())

    def take(self, archive: bytes) -> str:
        """The id of an import of this archive."""
        return take_archive(self.open_unit(), self.storage, self.dataset_id, iter((archive,)))

    def claim(self) -> Claim:
        claim = claim_next(self.database, JobKind.IMPORT, Worker("hound", "host-1"), Timers())
        assert claim is not None
        return claim

    def do(self, claim: Claim, stop: StopSignal) -> int:
        """The exit code of the process that does it."""
        return import_job(self.settings, claim.job_id, claim.attempt, stop)

    def state(self, import_id: str) -> tuple[str, str | None, int]:
        """State of the job, code of its failure, pictures added."""
        with self.database.read() as session:
            row, job = DatasetRepository(session).get_import(import_id)
            return job.state, job.error_code, row.added


@pytest.fixture
def house(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> House:
    # The job's own connections would end with its process, which here is the test's.
    monkeypatch.setattr("worker.import_job.Database", lambda url: database)
    return House(settings, database)


def pictures(count: int) -> dict[str, bytes]:
    return {f"{number}.png": encode(draw("circle", number)) for number in range(count)}


def test_it_brings_in_an_archive(house: House) -> None:
    import_id = house.take(zipped(pictures(3)))

    assert house.do(house.claim(), NeverStop()) == exits.DONE
    assert house.state(import_id) == ("succeeded", None, 3)


@pytest.mark.parametrize("archive", [zipped({}), tarred({"notes.md": b"hello"})], ids=["empty", "text"])
def test_an_archive_that_gives_nothing_has_failed(house: House, archive: bytes) -> None:
    import_id = house.take(archive)

    assert house.do(house.claim(), NeverStop()) == exits.REFUSED
    assert house.state(import_id) == ("failed", "archive-nothing-usable", 0)


def test_a_cut_archive_has_failed_and_keeps_what_came(house: House) -> None:
    import_id = house.take(zipped(pictures(3))[:-40])

    assert house.do(house.claim(), NeverStop()) == exits.REFUSED
    assert house.state(import_id) == ("failed", "archive-broken", 3)


def test_a_cancelled_import_stops_and_keeps_what_it_has_added(house: House) -> None:
    import_id = house.take(zipped(pictures(60)))
    claim = house.claim()
    cancel_import(house.open_unit(), house.storage, import_id)

    assert house.do(claim, StopAfter(40)) == exits.CANCELLED
    assert house.state(import_id)[2] == 40


def test_an_import_that_had_to_leave_continues_later(house: House) -> None:
    import_id = house.take(zipped(pictures(60)))
    claim = house.claim()

    assert house.do(claim, StopAfter(40)) == exits.YIELDED
    assert house.do(claim, NeverStop()) == exits.DONE
    assert house.state(import_id) == ("succeeded", None, 60)
