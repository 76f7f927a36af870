import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.db.session import Database
from backend.domain.training import StageRequest, TrainingRequest
from backend.ledger.claiming import claim_next
from backend.ledger.job import Claim, JobKind, Worker
from backend.ledger.timers import Timers
from backend.ledger.unit_of_work import NoNotifier, unit_of_work
from backend.settings import Settings
from backend.storage.local import LocalStorage
from backend.training.lr_finds.service import FindView, cancel_find, show_find, start_find
from backend.training.start import RunOrder
from tests.fixtures.engine import SIDE, TINY, StopNow, tiny_registered
from tests.fixtures.versions import add_shapes
from worker import exits
from worker.engine.order import NeverStop, StopSignal
from worker.jobs.train_job import train_job


class Searches:
    """A version of drawn shapes, and a worker that does what is asked of it."""

    def __init__(self, settings: Settings, database: Database, storage: LocalStorage) -> None:
        self.settings, self.database = settings, database
        with database.write() as session:
            self.version_id = add_shapes(session, storage, train=6, valid=2)

    def claim(self, *, freeze: bool = True) -> Claim:
        """A search that an attempt holds."""
        stage = StageRequest(freeze=freeze, epochs=1, max_lr="find")
        request = TrainingRequest(architecture=TINY, image_size=SIDE, batch_size=8, stages=(stage,))
        with unit_of_work(self.database, NoNotifier()) as unit:
            start_find(unit, RunOrder(self.version_id, request), self.settings.weights_folder)
        claim = claim_next(self.database, JobKind.TRAIN, Worker("worker-1", "host-1"), Timers())
        assert claim is not None
        return claim

    def do(self, claim: Claim, stop: StopSignal | None = None) -> int:
        """The exit code of the process that does it."""
        return train_job(self.settings, claim.job_id, claim.attempt, stop or NeverStop())

    def view(self, claim: Claim) -> FindView:
        """The search as it stands."""
        with self.database.read() as session:
            return show_find(session, claim.subject_id)


@pytest.fixture
def searches(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Searches]:
    # The job's own connections would end with its process, which here is the test's.
    monkeypatch.setattr("worker.jobs.train_job.Database", lambda url: database)
    with tiny_registered(settings.weights_folder):
        yield Searches(settings, database, LocalStorage(settings.storage_folder))


@pytest.mark.parametrize("freeze", [True, False])
def test_a_search_ends_with_a_curve_and_a_rate(searches: Searches, freeze: bool) -> None:
    claim = searches.claim(freeze=freeze)

    assert searches.do(claim) == exits.DONE
    view = searches.view(claim)
    assert (view.status, view.progress, view.phase) == ("succeeded", 1.0, None)
    assert view.result is not None
    assert len(view.result["learning_rates"]) == len(view.result["losses_low"]) > 20
    assert isinstance(view.result["max_lr"], list) is not freeze


def test_it_leaves_only_an_empty_folder_of_the_attempt(searches: Searches) -> None:
    claim = searches.claim()
    searches.do(claim)

    states = Path(searches.settings.storage_folder) / "states" / claim.subject_id
    assert [file for file in states.rglob("*") if file.is_file()] == []


def test_one_that_cannot_be_done_shows_why(searches: Searches) -> None:
    claim = searches.claim()
    shutil.rmtree(Path(searches.settings.storage_folder) / "blobs")

    assert searches.do(claim) == exits.REFUSED
    failure = searches.view(claim).failure
    assert failure is not None
    assert failure.code == "too-many-unreadable"


def test_a_cancelled_one_ends_as_such(searches: Searches) -> None:
    claim = searches.claim()
    with searches.database.write() as session:
        cancel_find(session, claim.subject_id)

    assert searches.do(claim, StopNow()) == exits.CANCELLED
    assert searches.view(claim).result is None


def test_a_worker_that_has_to_leave_gives_it_back(searches: Searches) -> None:
    claim = searches.claim()

    assert searches.do(claim, StopNow()) == exits.YIELDED


def test_an_attempt_that_was_overtaken_does_nothing(searches: Searches) -> None:
    claim = searches.claim()

    assert train_job(searches.settings, claim.job_id, claim.attempt + 1, NeverStop()) == exits.LOST
