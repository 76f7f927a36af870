import pytest

from backend.domain.events import PhaseProgress, PhaseStarted, StageStarted, ValidationProgress
from backend.domain.training import StageRequest, TrainingConfig, TrainingRequest, resolve
from backend.training.forecast.eta import EtaEstimator
from backend.training.forecast.work import Counts, WorkItem, pieces
from tests.backend.training.scene import epoch_finished, stage_finished, step_finished

STAGES = (StageRequest(freeze=True, epochs=4, train_batch_norm=True), StageRequest(freeze=False, epochs=2))
CONFIG = resolve(TrainingRequest(stages=STAGES))
STANDS_STILL = resolve(TrainingRequest(stages=(StageRequest(freeze=True, epochs=10, train_batch_norm=False),)))
THOUGHT = {
    "start": 5,
    "read": 5,
    "prepare": 5,
    "features": 180,
    "head": 1,
    "norms": 80,
    "answer": 20,
    "move": 280,
    "export": 10,
}


def timetable(config: TrainingConfig) -> list[tuple[WorkItem, float]]:
    """The training's pieces, each kind with a time of its own."""
    return [(piece, float(THOUGHT[piece.work])) for piece in pieces(config, Counts(100, 25, 0))]


class Clock:
    """A clock that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        """The time that was set."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> EtaEstimator:
    """A run of 4 epochs of 80 + 20 s, 2 of 280 + 20 s, 10 s of start and reading and 10 s after each stage."""
    pace = EtaEstimator(CONFIG, timetable(CONFIG), monotonic=clock)
    pace.see(StageStarted(0, True, 4, 0, 100, "cpu"))
    return pace


def test_it_stands_at_nothing_before_the_first_stage() -> None:
    standing = EtaEstimator(CONFIG).standing

    assert (standing.stage, standing.epoch, standing.progress, standing.eta_s) == (None, None, 0.0, None)


def test_reading_and_the_first_answers_count_before_the_first_stage(clock: Clock) -> None:
    pace = EtaEstimator(STANDS_STILL, timetable(STANDS_STILL), monotonic=clock)

    pace.see(PhaseStarted("data", "Reading"))
    pace.see(PhaseProgress("data", 125, 125))
    pace.see(PhaseStarted("features", "Showing"))
    pace.see(PhaseProgress("features", 5, 20))
    clock.now = 60
    pace.see(PhaseProgress("features", 10, 20))

    # 15 s to get ready and half of 180 s, then 10 epochs of a second and the export.
    assert pace.standing.progress == pytest.approx(105 / 215)


def test_it_gives_no_time_before_twenty_steps(pace: EtaEstimator, clock: Clock) -> None:
    clock.now = 19
    pace.see(step_finished(19, losses=19))

    assert pace.standing.eta_s is None


def test_it_gives_the_time_of_what_is_left_from_the_last_steps(pace: EtaEstimator, clock: Clock) -> None:
    clock.now = 32
    pace.see(step_finished(20, losses=20))

    # A step takes 1.6 s where 0.8 was thought; so all that the network does takes twice as long.
    assert pace.standing.eta_s == pytest.approx(80 * 1.6 + 40 + 3 * 200 + 10 + 2 * 600 + 10)
    assert pace.standing.progress == pytest.approx((10 + 16) / 1030)


def test_it_takes_whole_epochs_once_one_has_been_measured(pace: EtaEstimator, clock: Clock) -> None:
    one_epoch(pace, clock, 0)

    # Learning takes half of what was thought, and answering all of it.
    assert pace.standing.eta_s == pytest.approx(3 * 60 + 10 + 2 * 160 + 10)
    assert pace.standing.epoch == 1
    clock.now += 5
    assert pace.standing.eta_s == pytest.approx(3 * 60 + 10 + 2 * 160 + 10 - 5)
    assert pace.standing.progress == pytest.approx(110 / 1030)


def test_the_answers_of_an_epoch_count_as_they_come(pace: EtaEstimator, clock: Clock) -> None:
    clock.now = 80
    pace.see(step_finished(100, losses=100))
    clock.now = 90
    pace.see(ValidationProgress(0, 0, 15, 30))

    assert pace.standing.progress == pytest.approx((10 + 80 + 10) / 1030)
    assert pace.standing.eta_s == pytest.approx(10 + 3 * 100 + 10 + 2 * 300 + 10)


def test_it_counts_epochs_of_former_stages(pace: EtaEstimator, clock: Clock) -> None:
    for epoch in range(4):
        one_epoch(pace, clock, epoch)
    clock.now += 5
    pace.see(stage_finished(0))
    pace.see(StageStarted(1, False, 2, 0, 100, "cpu"))

    assert (pace.standing.stage, pace.standing.epoch) == (1, 0)
    assert pace.standing.progress == pytest.approx(420 / 1030)


def test_a_stage_that_is_cut_short_is_over(pace: EtaEstimator, clock: Clock) -> None:
    one_epoch(pace, clock, 0)

    pace.see(PhaseStarted("export", "Exporting"))

    assert pace.standing.progress == pytest.approx(410 / 1030)


def test_it_goes_on_where_an_interrupted_run_goes_on(clock: Clock) -> None:
    pace = EtaEstimator(CONFIG, timetable(CONFIG), monotonic=clock)

    pace.see(StageStarted(1, False, 2, 1, 100, "cpu"))

    assert pace.standing.progress == pytest.approx(720 / 1030)


def test_it_is_never_done_before_the_result_can_be_opened(pace: EtaEstimator) -> None:
    pace.see(StageStarted(1, False, 2, 0, 100, "cpu"))
    for epoch in range(2):
        pace.see(epoch_finished(1, epoch))
    pace.see(stage_finished(1))

    assert (pace.standing.epoch, pace.standing.progress) == (1, 0.99)


def test_it_gives_no_time_before_a_tenth_of_a_pass(clock: Clock) -> None:
    pace = EtaEstimator(STANDS_STILL, timetable(STANDS_STILL), monotonic=clock)
    pace.see(PhaseStarted("features", "Showing"))

    clock.now = 5
    pace.see(PhaseProgress("features", 59, 600))

    assert pace.standing.eta_s is None


def test_the_head_alone_does_not_spoil_the_time_of_a_pass(clock: Clock) -> None:
    pace = EtaEstimator(STANDS_STILL, timetable(STANDS_STILL), monotonic=clock)
    a_pass(pace, clock, 225, seconds=358.4)
    pace.see(StageStarted(0, True, 10, 0, 9, "cpu"))
    clock.now += 0.1
    pace.see(step_finished(9, steps=90, losses=9))
    pace.see(epoch_finished(0, 0))

    # 9 epochs of a tenth of a second, and the export.
    assert pace.standing.eta_s == pytest.approx(9 * 0.1 + 10)


def test_features_that_lie_on_disk_are_passed_over(clock: Clock) -> None:
    pace = EtaEstimator(STANDS_STILL, timetable(STANDS_STILL), monotonic=clock)
    pace.see(StageStarted(0, True, 10, 0, 9, "cpu"))

    pace.see(step_finished(9, steps=90, losses=9))

    assert pace.standing.progress == pytest.approx((195 + 1) / 215)


def test_a_search_for_the_rate_is_a_part_of_the_run(clock: Clock) -> None:
    config = resolve(TrainingRequest(stages=(StageRequest(freeze=False, epochs=1, max_lr="find"),)))
    pace = EtaEstimator(config, timetable(config), monotonic=clock)

    pace.see(PhaseProgress("rate", 50, 100))

    assert pace.standing.progress == pytest.approx((10 + 140) / (10 + 280 + 280 + 20 + 10))


def one_epoch(pace: EtaEstimator, clock: Clock, epoch: int) -> None:
    """An epoch of 100 steps in 40 s, then 20 s of answers."""
    clock.now += 40
    pace.see(step_finished(100 * (epoch + 1), epoch=epoch, losses=100))
    pace.see(ValidationProgress(0, epoch, 1, 30))
    clock.now += 20
    pace.see(epoch_finished(0, epoch, duration_s=60))


def a_pass(pace: EtaEstimator, clock: Clock, images: int, *, seconds: float) -> None:
    """Pictures shown to the frozen network."""
    pace.see(PhaseStarted("features", "Showing"))
    pace.see(PhaseProgress("features", 1, images))
    clock.now += seconds
    pace.see(PhaseProgress("features", images, images))
