"""One attempt at work with a finished model, by the process that does it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backend.db.session import Database
from backend.domain.training import StageRequest, TrainingRequest
from backend.ledger.claiming import claim_next
from backend.ledger.job import WORKER_LOST, JobKind, JobState, Worker
from backend.ledger.repository import Ledger
from backend.ledger.timers import Timers
from backend.ledger.unit_of_work import NoNotifier, unit_of_work
from backend.settings import Settings
from backend.storage.local import LocalStorage
from backend.training.checkpoint_jobs import service
from backend.training.checkpoint_jobs.service import CheckpointJob
from backend.training.run_view import show_run
from backend.training.start import RunOrder, start
from tests.fixtures.engine import SIDE, TINY, StopNow, tiny_registered
from tests.fixtures.versions import add_shapes
from worker import exits
from worker.engine.order import NeverStop, StopSignal
from worker.jobs import checkpoint_job as module
from worker.jobs.train_job import train_job


class StopAfter:
    """A stop that is asked for after so many looks."""

    def __init__(self, looks: int) -> None:
        self._left = looks

    def requested(self) -> bool:
        self._left -= 1
        return self._left < 0

    def finish_requested(self) -> bool:
        """Never."""
        return False


@dataclass
class Trained:
    """A tiny model of drawn shapes, trained by the engine, and a worker that works with it."""

    settings: Settings
    database: Database
    run_id: str
    checkpoint_id: str

    def want(self, kind: JobKind) -> None:
        with unit_of_work(self.database, NoNotifier()) as unit:
            service.want(unit, self.checkpoint_id, kind, anew=True)

    def do(self, kind: JobKind, stop: StopSignal | None = None) -> int:
        """The exit code of the process that does the job that waits."""
        claim = claim_next(self.database, kind, Worker("worker-1", "host-1", "cpu"), Timers())
        assert claim is not None
        code = module.checkpoint_job(self.settings, claim.job_id, claim.attempt, stop or NeverStop())
        with self.database.write() as session:
            Ledger(session).close(claim.job_id, claim.attempt, exits.outcome_of(code), failure=WORKER_LOST)
        return code

    def job(self, kind: JobKind) -> CheckpointJob:
        with self.database.read() as session:
            found = service.checkpoint_job(session, self.checkpoint_id, kind)
        assert found is not None
        return found

    @property
    def maps(self) -> list[Path]:
        """Heat maps that were made ahead."""
        return sorted(LocalStorage(self.settings.storage_folder).folder("heatmaps", self.checkpoint_id).glob("*.png"))


@pytest.fixture
def trained(settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trained]:
    # The job's own connections would end with its process, which here is the test's; so would its priority.
    monkeypatch.setattr("worker.jobs.train_job.Database", lambda _url: database)
    monkeypatch.setattr(module, "Database", lambda _url: database)
    monkeypatch.setattr(module, "step_back", lambda _kind: None)
    settings = settings.model_copy(update={"heatmaps_ahead": True})
    with database.write() as session:
        version_id = add_shapes(session, LocalStorage(settings.storage_folder), train=6, valid=2)
    stage = StageRequest(freeze=True, epochs=2, max_lr=0.01)
    request = TrainingRequest(architecture=TINY, image_size=SIDE, batch_size=8, stages=(stage,))
    with tiny_registered(settings.weights_folder):
        with unit_of_work(database, NoNotifier()) as unit:
            run_id = start(unit, RunOrder(version_id, request), settings.weights_folder).id
        claim = claim_next(database, JobKind.TRAIN, Worker("worker-1", "host-1", "cpu"), Timers())
        assert claim is not None
        assert train_job(settings, claim.job_id, claim.attempt, NeverStop()) == exits.DONE
        with database.write() as session:
            Ledger(session).close(claim.job_id, claim.attempt, exits.outcome_of(exits.DONE), failure=WORKER_LOST)
        with database.read() as session:
            (checkpoint,) = show_run(session, run_id).checkpoints
        yield Trained(settings, database, run_id, checkpoint.id)


def test_a_training_that_is_done_asks_for_the_heat_maps_of_its_model(trained: Trained) -> None:
    assert trained.job(JobKind.HEATMAPS).state is JobState.QUEUED

    assert trained.do(JobKind.HEATMAPS) == exits.DONE

    job = trained.job(JobKind.HEATMAPS)
    assert (job.state, job.done, job.total) == (JobState.SUCCEEDED, 6, 6)
    assert len(trained.maps) == 6
    # Each once: those that are made on demand lie beside them.
    assert len(list((Path(trained.settings.storage_folder) / "heatmaps").rglob("*.png"))) == 6


def test_heat_maps_that_are_there_are_not_made_again(trained: Trained) -> None:
    assert trained.do(JobKind.HEATMAPS, StopAfter(3)) == exits.YIELDED
    before = {file: file.stat().st_mtime_ns for file in trained.maps}
    assert 0 < len(before) < 6

    assert trained.do(JobKind.HEATMAPS) == exits.DONE

    assert len(trained.maps) == 6
    assert {file: file.stat().st_mtime_ns for file in trained.maps if file in before} == before
    assert trained.job(JobKind.HEATMAPS).was_interrupted is True


def test_flips_are_counted_with_three_other_seeds(trained: Trained) -> None:
    trained.want(JobKind.FLIPS)

    assert trained.do(JobKind.FLIPS) == exits.DONE

    job = trained.job(JobKind.FLIPS)
    assert job.found is not None
    assert (job.done, job.total, job.found["seeds"], job.found["images"]) == (3, 3, [43, 44, 45], 6)
    assert all(len(set(said)) > 1 for said in job.found["disagreeing"].values())
    states = Path(trained.settings.storage_folder) / "states" / job.job_id
    assert not states.exists()


def test_flips_that_had_to_make_way_are_counted_later(trained: Trained) -> None:
    trained.want(JobKind.FLIPS)

    assert trained.do(JobKind.FLIPS, StopNow()) == exits.YIELDED
    assert trained.job(JobKind.FLIPS).is_waiting is True
    assert trained.do(JobKind.FLIPS) == exits.DONE


def test_strangeness_is_measured_and_kept_with_the_model(trained: Trained) -> None:
    from backend.training.confidence.chosen import familiarity_of_checkpoint

    trained.want(JobKind.STRANGENESS)

    assert trained.do(JobKind.STRANGENESS) == exits.DONE

    job = trained.job(JobKind.STRANGENESS)
    assert (job.done, job.total, job.is_over) == (24, 24, True)
    with trained.database.read() as session:
        known = familiarity_of_checkpoint(session, trained.checkpoint_id)
    assert known is not None
    assert (known.learnt_from, len(known.familiar)) == (18, 6)


def test_a_cancelled_measurement_ends_as_such_and_keeps_nothing(trained: Trained) -> None:
    from backend.training.confidence.chosen import familiarity_of_checkpoint

    trained.want(JobKind.STRANGENESS)
    claim = claim_next(trained.database, JobKind.STRANGENESS, Worker("worker-1", "host-1", "cpu"), Timers())
    assert claim is not None
    with trained.database.write() as session:
        service.cancel(session, trained.checkpoint_id, JobKind.STRANGENESS)

    assert module.checkpoint_job(trained.settings, claim.job_id, claim.attempt, StopNow()) == exits.CANCELLED
    with trained.database.read() as session:
        assert familiarity_of_checkpoint(session, trained.checkpoint_id) is None


def test_an_attempt_that_was_overtaken_does_nothing(trained: Trained) -> None:
    trained.want(JobKind.FLIPS)
    claim = claim_next(trained.database, JobKind.FLIPS, Worker("worker-1", "host-1", "cpu"), Timers())
    assert claim is not None

    assert module.checkpoint_job(trained.settings, claim.job_id, claim.attempt + 1, NeverStop()) == exits.LOST
