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
from worker.jobs.import_job import import_job


class StopAfter(NeverStop):
    """Asks to stop after so many questions."""

    def __init__(self, questions: int) -> None:
        self._left = questions

    def requested(self) -> bool:
        self._left -= 1
        return self._left < 0


class Imports:
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
        claim = claim_next(self.database, JobKind.IMPORT, Worker("worker-1", "host-1"), Timers())
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
def imports(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> Imports:
    # The job's own connections would end with its process, which here is the test's.
    monkeypatch.setattr("worker.jobs.import_job.Database", lambda url: database)
    return Imports(settings, database)


def pictures(count: int) -> dict[str, bytes]:
    return {f"{number}.png": encode(draw("circle", number)) for number in range(count)}


def test_it_brings_in_an_archive(imports: Imports) -> None:
    import_id = imports.take(zipped(pictures(3)))

    assert imports.do(imports.claim(), NeverStop()) == exits.DONE
    assert imports.state(import_id) == ("succeeded", None, 3)


@pytest.mark.parametrize("archive", [zipped({}), tarred({"notes.md": b"hello"})], ids=["empty", "text"])
def test_an_archive_that_gives_nothing_has_failed(imports: Imports, archive: bytes) -> None:
    import_id = imports.take(archive)

    assert imports.do(imports.claim(), NeverStop()) == exits.REFUSED
    assert imports.state(import_id) == ("failed", "archive-nothing-usable", 0)


def test_a_cut_archive_has_failed_and_keeps_what_came(imports: Imports) -> None:
    import_id = imports.take(zipped(pictures(3))[:-40])

    assert imports.do(imports.claim(), NeverStop()) == exits.REFUSED
    assert imports.state(import_id) == ("failed", "archive-broken", 3)


def test_a_cancelled_import_stops_and_keeps_what_it_has_added(imports: Imports) -> None:
    import_id = imports.take(zipped(pictures(60)))
    claim = imports.claim()
    cancel_import(imports.open_unit(), imports.storage, import_id)

    assert imports.do(claim, StopAfter(40)) == exits.CANCELLED
    assert imports.state(import_id)[2] == 40


def test_an_import_that_had_to_leave_continues_later(imports: Imports) -> None:
    import_id = imports.take(zipped(pictures(60)))
    claim = imports.claim()

    assert imports.do(claim, StopAfter(40)) == exits.YIELDED
    assert imports.do(claim, NeverStop()) == exits.DONE
    assert imports.state(import_id) == ("succeeded", None, 60)
