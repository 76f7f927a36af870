"""How fast a training goes is taken down beside it."""

import pytest

from backend.db.session import Database
from backend.domain.events import Phase, PhaseProgress, PhaseStarted
from backend.domain.training import TrainingRequest, resolve
from backend.storage.local import LocalStorage
from backend.training.forecast.eta import usual_timetable
from backend.training.forecast.follower import RunFollower
from backend.training.forecast.speed_repository import Speeds
from backend.training.forecast.work import Counts
from tests.backend.training.scene import STAGES, Scene, epoch_finished, state_saved
from worker.engine.order import NeverStop
from worker.hardware import machine
from worker.jobs.train_recorder import TrainRecorder

CONFIG = resolve(TrainingRequest(stages=STAGES))


class Clock:
    """A clock that is moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        """The time that was set."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(database: Database, storage: LocalStorage, clock: Clock) -> TrainRecorder:
    scene = Scene(database)
    scene.run()
    timetable = usual_timetable(CONFIG, Counts(160, 40, 0))
    follower = RunFollower(CONFIG, timetable, monotonic=clock)
    claim = scene.claim()
    return TrainRecorder(database, storage, claim, CONFIG, NeverStop(), follower=follower, machine="cpu: a processor")


def test_what_was_measured_is_kept_once_and_the_latest_comes_first(
    recorder: TrainRecorder, database: Database, clock: Clock
) -> None:
    clock.now = 1
    recorder(PhaseStarted(Phase.DATA, "Reading"))
    clock.now = 3
    recorder(PhaseProgress(Phase.DATA, 200, 200))
    recorder(PhaseStarted(Phase.RATE, "Trying"))
    recorder(epoch_finished(0, 0))
    recorder(state_saved(0, 0))
    recorder(state_saved(0, 0))

    with database.read() as session:
        kept = Speeds(session).latest("cpu")

    assert [(speed.work, speed.amount, speed.seconds) for speed in kept][-2:] == [("read", 200, 2.0), ("start", 1, 1.0)]
    assert len(kept) == len({(speed.work, speed.amount, speed.seconds) for speed in kept})


def test_a_processor_is_named_by_its_model_and_cores() -> None:
    name = machine("cpu:409e9bdd1a46")

    assert name.startswith("cpu: ")
    assert name.endswith(" cores")
