"""One attempt at an examination, by the process that makes it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.datasets.examine.embeddings import read_embeddings
from backend.datasets.examine.repository import Examination, ExaminationRepository
from backend.datasets.ingest import IncomingFile, ingest
from backend.datasets.repository import DatasetRepository
from backend.db.session import Database
from backend.domain.ids import ImageId
from backend.domain.manifest import Manifest, ManifestImage, Split
from backend.imaging.pool import decoding_pool
from backend.ledger.claiming import claim_next
from backend.ledger.job import WORKER_LOST, JobKind, JobState, Worker
from backend.ledger.repository import Ledger
from backend.ledger.timers import Timers
from backend.ledger.unit_of_work import NoNotifier, unit_of_work
from backend.settings import Settings
from backend.storage.local import LocalStorage
from tests.fixtures.engine import Bytes, frozen, order_in, tiny_config
from tests.fixtures.pictures import draw, encode
from worker import exits
from worker.engine.embedding import Embedder
from worker.engine.frozen import runtimes
from worker.engine.order import NeverStop, StopSignal
from worker.jobs import examine_job as module


@dataclass
class Looking:
    """A dataset, and a worker that looks at its pictures."""

    settings: Settings
    database: Database
    dataset_id: str

    def bring(self, *numbers: int) -> None:
        """Circles of these numbers."""
        files = [IncomingFile(f"circle/{number}.png", encode(draw("circle", number))) for number in numbers]
        storage = LocalStorage(self.settings.storage_folder)
        ingest(lambda: unit_of_work(self.database, NoNotifier()), storage, decoding_pool(), self.dataset_id, files)

    def do(self, stop: StopSignal) -> int:
        """The exit code of the process that does the job that waits."""
        worker = Worker("worker-1", "host-1", "cpu:worker-1")
        claim = claim_next(self.database, JobKind.EXAMINE, worker, Timers())
        assert claim is not None
        code = module.examine_job(self.settings, claim.job_id, claim.attempt, stop)
        with self.database.write() as session:
            Ledger(session).close(claim.job_id, claim.attempt, exits.outcome_of(code), failure=WORKER_LOST)
        return code

    def found(self) -> Examination:
        """How far it is."""
        with self.database.read() as session:
            found = ExaminationRepository(session).find(self.dataset_id)
        assert found is not None
        return found


@pytest.fixture
def looking(
    settings: Settings, database: Database, weights_folder: Path, monkeypatch: pytest.MonkeyPatch, tiny: object
) -> Looking:
    # The job's own connections would end with its process, which here is the test's.
    monkeypatch.setattr(module, "Database", lambda _url: database)
    monkeypatch.setattr(module, "resolve", lambda _request: tiny_config(frozen(views=0)))
    with database.write() as session:
        dataset_id = DatasetRepository(session).add("Circles").id
    return Looking(settings.model_copy(update={"weights": weights_folder}), database, dataset_id)


def test_it_looks_at_every_picture_and_keeps_what_it_found(looking: Looking) -> None:
    looking.bring(1, 2, 3)

    assert looking.do(NeverStop()) == exits.DONE

    found = looking.found()
    assert (found.state, found.images_done, found.images_total) == (JobState.SUCCEEDED, 3, 3)
    assert found.features is not None
    assert (looking.settings.features_folder / found.features).is_dir()
    embeddings = read_embeddings(looking.settings.features_folder, looking.dataset_id)
    assert embeddings is not None
    assert len(embeddings.image_ids) == 3


def test_a_training_on_as_many_pictures_finds_their_features(
    looking: Looking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # From so many pictures on, another runtime answers, whose features are kept apart.
    monkeypatch.setattr(runtimes, "WORTH_IT", 3)
    looking.bring(1, 2, 3)

    assert looking.do(NeverStop()) == exits.DONE

    with looking.database.read() as session:
        rows = ExaminationRepository(session).images(looking.dataset_id)
    images = tuple(ManifestImage(ImageId(id), digest, path, "circle", Split.TRAIN) for id, digest, path in rows)
    order = order_in(
        tmp_path,
        looking.settings.weights_folder,
        tiny_config(frozen(views=0)),
        content=(Manifest(("circle", "square"), images), Bytes({})),
        features_folder=looking.settings.features_folder,
    )
    assert Embedder(order, NeverStop()).known() == {image.digest for image in images}
    assert list(looking.settings.features_folder.glob("layers-*.onnx"))


class During(NeverStop):
    """Does something at the first question."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do = [do]

    def requested(self) -> bool:
        """Never."""
        for do in self._do:
            self._do = []
            do()
        return False


def test_pictures_that_arrive_meanwhile_are_looked_at_too(looking: Looking) -> None:
    looking.bring(1, 2)

    assert looking.do(During(lambda: looking.bring(3, 4, 5))) == exits.DONE

    found = looking.found()
    assert (found.state, found.images_done, found.images_total) == (JobState.SUCCEEDED, 5, 5)


class StopAfter(NeverStop):
    """Asks to stop after so many questions."""

    def __init__(self, questions: int) -> None:
        self._left = questions

    def requested(self) -> bool:
        """Whether it does."""
        self._left -= 1
        return self._left < 0


def test_one_that_was_stopped_waits_and_goes_on(looking: Looking) -> None:
    looking.bring(1, 2, 3)

    assert looking.do(StopAfter(1)) == exits.YIELDED
    assert looking.found().state is JobState.QUEUED
    assert looking.do(NeverStop()) == exits.DONE

    assert looking.found().images_done == 3
