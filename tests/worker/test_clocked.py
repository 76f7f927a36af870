"""How fast a training goes is taken down beside it."""

import pytest

from backend.db.session import Database
from backend.domain.events import PhaseProgress, PhaseStarted
from backend.domain.training import TrainingRequest, resolve
from backend.storage.local import LocalStorage
from backend.training.forecast.eta import usual_timetable
from backend.training.forecast.follower import RunFollower
from backend.training.forecast.speed_repository import Speeds
from backend.training.forecast.work import Counts
from tests.backend.training.scene import STAGES, Scene, epoch_finished, state_saved
from worker.engine.order import NeverStop
from worker.hardware import machine
from worker.train_recorder import TrainRecorder

CONFIG = resolve(TrainingRequest(stages=STAGES))


@pytest.fixture
def recorder(database: Database, storage: LocalStorage) -> TrainRecorder:
    scene, now = Scene(database), iter(range(1000))
    scene.run()
    timetable = usual_timetable(CONFIG, Counts(160, 40, 0))
    follower = RunFollower(CONFIG, timetable, monotonic=lambda: float(next(now)))
    claim = scene.claim()
    return TrainRecorder(database, storage, claim, CONFIG, NeverStop(), follower=follower, machine="cpu: a processor")


def test_what_was_measured_is_kept_once_and_the_latest_comes_first(recorder: TrainRecorder, database: Database) -> None:
    recorder(PhaseStarted("data", "Reading"))
    recorder(PhaseProgress("data", 200, 200))
    recorder(PhaseStarted("rate", "Trying"))
    recorder(epoch_finished(0, 0))
    recorder(state_saved(0, 0))
    recorder(state_saved(0, 0))

    with database.read() as session:
        kept = Speeds(session).latest("cpu")

    assert [(speed.work, speed.amount, speed.seconds, speed.run_id) for speed in kept][-2:] == [
        ("read", 200, 2.0, "a" * 32),
        ("start", 1, 1.0, "a" * 32),
    ]
    assert len(kept) == len({(speed.work, speed.amount, speed.seconds) for speed in kept})


def test_a_processor_is_named_by_its_model_and_cores() -> None:
    name = machine("cpu:409e9bdd1a46")

    assert name.startswith("cpu: ")
    assert name.endswith(" cores")
