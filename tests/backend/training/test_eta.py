import pytest

from backend.domain.events import PhaseProgress, StageStarted
from backend.domain.training import StageRequest, TrainingRequest, resolve
from backend.training.eta import Pace
from tests.backend.training.scene import epoch_finished, stage_finished, step_finished

CONFIG = resolve(
    TrainingRequest(
        stages=(StageRequest(freeze=True, epochs=4, train_batch_norm=True), StageRequest(freeze=False, epochs=2))
    )
)
STANDS_STILL = resolve(TrainingRequest(stages=(StageRequest(freeze=True, epochs=10, train_batch_norm=False),)))


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
def pace(clock: Clock) -> Pace:
    pace = Pace(CONFIG, monotonic=clock)
    pace.see(StageStarted(0, True, 4, 0, 100, "cpu"))
    return pace


def test_it_stands_at_nothing_before_the_first_stage() -> None:
    standing = Pace(CONFIG).standing

    assert (standing.stage, standing.epoch, standing.progress, standing.eta_s) == (None, None, 0.0, None)


def test_it_gives_no_time_before_twenty_steps(pace: Pace, clock: Clock) -> None:
    clock.now = 19
    pace.see(step_finished(19, losses=19))

    assert pace.standing.eta_s is None


def test_it_gives_the_time_of_what_is_left_from_the_last_steps(pace: Pace, clock: Clock) -> None:
    clock.now = 20
    pace.see(step_finished(20, losses=20))

    # 80 steps of this epoch, 3 more epochs, and 2 unfrozen ones at three times the cost; a second a step.
    assert pace.standing.eta_s == pytest.approx(80 + 3 * 100 + 2 * 300)
    assert pace.standing.progress == pytest.approx(0.2 / 10)


def test_it_takes_whole_epochs_once_one_has_been_measured(pace: Pace, clock: Clock) -> None:
    clock.now = 50
    pace.see(epoch_finished(0, 0, duration_s=50))

    assert pace.standing.eta_s == pytest.approx(3 * 50 + 2 * 150)
    clock.now = 60
    assert pace.standing.eta_s == pytest.approx(3 * 50 + 2 * 150 - 10)
    assert pace.standing.epoch == 1
    assert pace.standing.progress == pytest.approx(1 / 10)


def test_it_counts_epochs_of_former_stages(pace: Pace, clock: Clock) -> None:
    for epoch in range(4):
        clock.now += 50
        pace.see(epoch_finished(0, epoch, duration_s=50))
    clock.now += 5
    pace.see(stage_finished(0))
    pace.see(StageStarted(1, False, 2, 0, 100, "cpu"))

    assert (pace.standing.stage, pace.standing.epoch) == (1, 0)
    assert pace.standing.progress == pytest.approx(4 / 10)


def test_it_goes_on_where_an_interrupted_run_goes_on(clock: Clock) -> None:
    pace = Pace(CONFIG, monotonic=clock)

    pace.see(StageStarted(1, False, 2, 1, 100, "cpu"))

    assert pace.standing.progress == pytest.approx(7 / 10)


def test_it_is_never_done_before_the_result_can_be_opened(pace: Pace) -> None:
    pace.see(StageStarted(1, False, 2, 0, 100, "cpu"))
    for epoch in range(2):
        pace.see(epoch_finished(1, epoch))

    assert (pace.standing.epoch, pace.standing.progress) == (1, 0.99)


def test_it_counts_the_passes_through_a_backbone_that_stands_still(clock: Clock) -> None:
    pace = Pace(STANDS_STILL, monotonic=clock)
    pace.see(StageStarted(0, True, 10, 0, 9, "cpu"))

    clock.now = 30
    pace.see(PhaseProgress("features", 300, 600))

    # Half of the first of two passes; then eight epochs of the head alone at 0.03 of a pass each.
    assert pace.standing.progress == pytest.approx(0.5 / 2.24)
    assert pace.standing.eta_s == pytest.approx(30 + 60 + 8 * 0.03 * 60)


def test_it_gives_no_time_before_a_tenth_of_a_pass(clock: Clock) -> None:
    pace = Pace(STANDS_STILL, monotonic=clock)
    pace.see(StageStarted(0, True, 10, 0, 9, "cpu"))

    clock.now = 5
    pace.see(PhaseProgress("features", 59, 600))

    assert pace.standing.eta_s is None


def test_the_head_alone_does_not_spoil_the_time_of_a_pass(clock: Clock) -> None:
    pace = Pace(STANDS_STILL, monotonic=clock)
    pace.see(StageStarted(0, True, 10, 0, 9, "cpu"))
    for epoch, seconds in enumerate((60, 60, 1, 1)):
        clock.now += seconds
        pace.see(epoch_finished(0, epoch, duration_s=seconds))

    assert pace.standing.eta_s == pytest.approx(6 * 0.03 * 60)
    assert pace.standing.progress == pytest.approx(2.06 / 2.24)
