"""What is shown of a run while its events come: progress, time left, the part under way, the stall time-out."""

import pytest

from backend.domain.events import (
    EpochsChanged,
    Event,
    Note,
    NoteTopic,
    Phase,
    PhaseProgress,
    PhaseStarted,
    StageStarted,
    StepFinished,
    ValidationProgress,
)
from backend.domain.training import StageRequest, TrainingConfig, TrainingRequest, resolve
from backend.training.forecast.eta import Standing
from backend.training.forecast.follower import RunFollower
from backend.training.forecast.work import Counts, WorkItem, work_items
from tests.backend.training.scene import epoch_finished, stage_finished, step_finished

STAGES = (StageRequest(freeze=True, epochs=4, train_batch_norm=True), StageRequest(freeze=False, epochs=2))
CONFIG = resolve(TrainingRequest(stages=STAGES))
FROZEN = resolve(TrainingRequest(stages=(StageRequest(freeze=True, epochs=10, train_batch_norm=False),)))
FORECAST = {
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
    """The training's work items, each kind with a time of its own."""
    return [(item, float(FORECAST[item.work])) for item in work_items(config, Counts(100, 25, 0))]


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
def follower(clock: Clock) -> RunFollower:
    """A run of 4 epochs of 80 + 20 s, 2 of 280 + 20 s, 10 s of start and reading and 10 s after each stage: 1030 s."""
    return RunFollower(CONFIG, timetable(CONFIG), monotonic=clock)


@pytest.fixture
def frozen(clock: Clock) -> RunFollower:
    """A run of 5 + 5 + 5 + 180 s before ten epochs of a second and 10 s of export: 215 s."""
    return RunFollower(FROZEN, timetable(FROZEN), monotonic=clock)


def begin(follower: RunFollower, clock: Clock) -> None:
    """Ten seconds as forecast, to the beginning of the first stage."""
    clock.now += 5
    follower.see(PhaseStarted(Phase.DATA, "Reading"))
    clock.now += 5
    follower.see(PhaseProgress(Phase.DATA, 125, 125))
    follower.see(StageStarted(0, True, 4, 0, 100, "cpu"))


def test_nothing_is_done_before_the_first_event(follower: RunFollower) -> None:
    assert follower.standing == Standing(activity="start")


def test_the_bar_follows_the_forecast_seconds_of_every_part(frozen: RunFollower, clock: Clock) -> None:
    reported: list[tuple[float, Event, float]] = [
        (5, PhaseStarted(Phase.DATA, "Reading"), 5 / 215),
        (7.5, PhaseProgress(Phase.DATA, 50, 100), 7.5 / 215),
        (10, PhaseProgress(Phase.DATA, 100, 100), 10 / 215),
        (10, PhaseStarted(Phase.FEATURES, "Computing"), 10 / 215),
        (15, PhaseProgress(Phase.FEATURES, 0, 20), 15 / 215),
        (105, PhaseProgress(Phase.FEATURES, 10, 20), 105 / 215),
        (195, PhaseProgress(Phase.FEATURES, 20, 20), 195 / 215),
        (195, StageStarted(0, True, 10, 0, 9, "cpu"), 195 / 215),
        (196, epoch_finished(0, 0), 196 / 215),
        (200, epoch_finished(0, 4), 197 / 212),
        (205, epoch_finished(0, 9), 0.954545),
        (205, PhaseStarted(Phase.EXPORT, "Exporting"), 0.954545),
        (215, stage_finished(0), 0.99),
    ]
    shown = []
    for at, event, _ in reported:
        clock.now = at
        frozen.see(event)
        shown.append(frozen.standing.progress)

    # Epochs 1 to 3 and 5 to 8 were never heard of: what is passed over leaves the rest of the bar to the others.
    assert shown[:9] == pytest.approx([expected for _, _, expected in reported[:9]])
    assert shown == sorted(shown)
    assert shown[-1] == 0.99


def test_a_silent_part_moves_by_the_clock_and_never_reaches_its_end(frozen: RunFollower, clock: Clock) -> None:
    shown = []
    for clock.now in (0, 2, 4, 5, 10, 43, 400):  # the follower reads it
        shown.append(frozen.standing.progress)

    # The start was forecast to take 5 of 215 s; 43 s at 0 % were said to be a bug.
    assert shown[:3] == pytest.approx([0, 2 / 215, 4 / 215])
    assert shown == sorted(shown)
    assert all(4 / 215 < progress < 5.001 / 215 for progress in shown[3:])


def test_a_wrong_forecast_is_corrected_while_the_run_continues(follower: RunFollower, clock: Clock) -> None:
    begin(follower, clock)
    shown = [follower.standing.progress]
    # A step takes 8 s where 0.8 was forecast: what the network does takes ten times as long as forecast.
    for step in range(10, 101, 10):
        clock.now += 80
        follower.see(step_finished(step, losses=10))
        shown.append(follower.standing.progress)

    apart = [after - before for before, after in zip(shown[1:], shown[2:], strict=False)]
    assert max(apart) < 1.2 * min(apart)
    assert shown[-1] == pytest.approx(90 / 1030, abs=0.001)
    assert follower.standing.eta_s == pytest.approx(200 + 3 * 1000 + 10 + 2 * 3000 + 10)


def test_progress_of_a_part_that_takes_far_longer_than_forecast_is_not_near_the_end(
    frozen: RunFollower, clock: Clock
) -> None:
    for at, event in (
        (5, PhaseStarted(Phase.DATA, "Reading")),
        (10, PhaseProgress(Phase.DATA, 100, 100)),
        (10, PhaseStarted(Phase.FEATURES, "Computing")),
        (15, PhaseProgress(Phase.FEATURES, 0, 100)),
        (25, PhaseProgress(Phase.FEATURES, 100, 100)),
        (25, StageStarted(0, True, 10, 0, 9, "cpu")),
    ):
        clock.now = at
        frozen.see(event)
    after_features = frozen.standing.progress
    shown = []
    for epoch in range(10):
        clock.now += 17
        frozen.see(epoch_finished(0, epoch))
        shown.append(frozen.standing.progress)

    # 10 epochs of 17 s where one of 1 s was forecast, as in the run of 45 pictures that stood at 74 to 79 %.
    apart = [after - before for before, after in zip(shown[1:], shown[2:], strict=False)]
    # Features took 10 s of 180: the rest of the bar went to what is left, 10 epochs of 1 s * 10 / 180 and the export.
    assert after_features == pytest.approx(15 / 215 + 200 / 215 * 10 / (10 + 10 * 10 / 180 + 10))
    assert max(apart) < 1.3 * min(apart)
    assert shown[-1] < 0.99


def test_no_time_is_given_before_twenty_steps(follower: RunFollower, clock: Clock) -> None:
    begin(follower, clock)
    clock.now += 19
    follower.see(step_finished(19, losses=19))

    assert follower.standing.eta_s is None


def test_the_time_that_is_left_rests_on_the_last_steps(follower: RunFollower, clock: Clock) -> None:
    begin(follower, clock)
    clock.now += 32
    follower.see(step_finished(20, losses=20))

    # A step takes 1.6 s where 0.8 was forecast; so all that the network does takes twice as long.
    assert follower.standing.eta_s == pytest.approx(80 * 1.6 + 40 + 3 * 200 + 10 + 2 * 600 + 10)


def test_whole_epochs_count_once_one_has_been_measured(follower: RunFollower, clock: Clock) -> None:
    begin(follower, clock)
    one_epoch(follower, clock, 0)

    # Training takes half of what was forecast, and evaluating all of it.
    assert follower.standing.eta_s == pytest.approx(3 * 60 + 10 + 2 * 160 + 10)
    assert (follower.standing.stage, follower.standing.epoch) == (0, 1)
    clock.now += 5
    assert follower.standing.eta_s == pytest.approx(3 * 60 + 10 + 2 * 160 + 10 - 5)


def test_never_more_time_is_left_than_the_training_may_take(clock: Clock) -> None:
    limited = CONFIG.model_copy(update={"minutes": 5.0})
    follower = RunFollower(limited, timetable(limited), monotonic=clock)
    begin(follower, clock)

    # As in the test before, without a limit 520 s.
    one_epoch(follower, clock, 0)

    assert follower.standing.eta_s == pytest.approx(300)


def test_answers_of_an_epoch_count_as_they_come(follower: RunFollower, clock: Clock) -> None:
    begin(follower, clock)
    clock.now += 80
    follower.see(step_finished(100, losses=100))
    clock.now += 10
    follower.see(ValidationProgress(0, 0, 15, 30))

    assert follower.standing.progress == pytest.approx((10 + 80 + 10) / 1030)
    assert follower.standing.eta_s == pytest.approx(10 + 3 * 100 + 10 + 2 * 300 + 10)


def test_a_stage_that_is_cut_short_leaves_its_rest_of_the_bar_to_the_others(
    follower: RunFollower, clock: Clock
) -> None:
    begin(follower, clock)
    one_epoch(follower, clock, 0)
    before = follower.standing.progress

    follower.see(PhaseStarted(Phase.EXPORT, "Exporting"))
    clock.now += 10
    follower.see(stage_finished(0))

    # The last 300 forecast seconds of the stage are gone; 10 of export are done of 10 + 2 * 160 + 10.
    assert follower.standing.progress == pytest.approx(before + (1 - before) * 10 / 340)
    assert (follower.standing.stage, follower.standing.activity) == (1, "learn")


def test_epochs_for_which_there_is_no_time_are_not_waited_for(follower: RunFollower, clock: Clock) -> None:
    begin(follower, clock)
    one_epoch(follower, clock, 0)

    follower.see(EpochsChanged(0, 2, 4))

    # One epoch more of this stage instead of three.
    assert follower.standing.eta_s == pytest.approx(60 + 10 + 2 * 160 + 10)
    follower.see(EpochsChanged(0, 3, 4))
    assert follower.standing.eta_s == pytest.approx(2 * 60 + 10 + 2 * 160 + 10)


def test_nothing_falls_below_what_an_earlier_attempt_got_to(clock: Clock) -> None:
    earlier = Standing(1, 1, 0.7, activity="learn")
    follower = RunFollower(CONFIG, timetable(CONFIG), earlier=earlier, finished_stages=1, goes_on=True, monotonic=clock)

    follower.see(PhaseStarted(Phase.DATA, "Reading"))
    reading = follower.standing
    follower.see(StageStarted(1, False, 2, 1, 100, "cpu"))

    assert (reading.stage, reading.epoch, reading.activity, reading.phase) == (1, 1, "learn", "Reading")
    assert reading.progress == pytest.approx(0.7, abs=0.02)
    assert (follower.standing.stage, follower.standing.epoch) == (1, 1)


def test_it_is_never_done_before_the_result_can_be_opened(follower: RunFollower) -> None:
    follower.see(StageStarted(1, False, 2, 0, 100, "cpu"))
    for epoch in range(2):
        follower.see(epoch_finished(1, epoch))
    follower.see(stage_finished(1))

    assert follower.standing.epoch == 1
    assert 0.9 < follower.standing.progress <= 0.99


def test_no_time_is_given_before_a_tenth_of_a_pass(frozen: RunFollower, clock: Clock) -> None:
    frozen.see(PhaseStarted(Phase.FEATURES, "Computing"))

    clock.now = 5
    frozen.see(PhaseProgress(Phase.FEATURES, 59, 600))

    assert frozen.standing.eta_s is None


def test_the_head_alone_does_not_spoil_the_time_of_a_pass(frozen: RunFollower, clock: Clock) -> None:
    frozen.see(PhaseStarted(Phase.FEATURES, "Computing"))
    frozen.see(PhaseProgress(Phase.FEATURES, 1, 225))
    clock.now += 358.4
    frozen.see(PhaseProgress(Phase.FEATURES, 225, 225))
    frozen.see(StageStarted(0, True, 10, 0, 9, "cpu"))
    clock.now += 0.1
    frozen.see(step_finished(9, steps=90, losses=9))
    frozen.see(epoch_finished(0, 0))

    # 9 epochs of a tenth of a second, and the export.
    assert frozen.standing.eta_s == pytest.approx(9 * 0.1 + 10)


def test_each_part_has_its_name(frozen: RunFollower, clock: Clock) -> None:
    reported: list[tuple[Event, str]] = [
        (PhaseStarted(Phase.DATA, "Reading"), "data"),
        (PhaseStarted(Phase.FEATURES, "Computing"), "features"),
        (PhaseProgress(Phase.FEATURES, 10, 20), "features"),
        (StageStarted(0, True, 10, 0, 9, "cpu"), "learn"),
        (PhaseStarted(Phase.EXPORT, "Exporting"), "export"),
    ]
    found = []
    for event, _ in reported:
        frozen.see(event)
        found.append(frozen.standing.activity)

    assert found == [name for _, name in reported]


def test_a_search_for_the_rate_is_a_part_of_the_run(clock: Clock) -> None:
    config = resolve(TrainingRequest(stages=(StageRequest(freeze=False, epochs=1, max_lr="find"),)))
    follower = RunFollower(config, timetable(config), monotonic=clock)
    clock.now = 5
    follower.see(PhaseStarted(Phase.DATA, "Reading"))
    clock.now = 10
    follower.see(PhaseProgress(Phase.DATA, 1, 1))

    follower.see(PhaseProgress(Phase.RATE, 50, 100))

    assert follower.standing.progress == pytest.approx((10 + 140) / (10 + 280 + 280 + 20 + 10))
    assert follower.standing.activity == "rate"


def test_words_of_a_phase_go_when_there_are_steps(follower: RunFollower) -> None:
    follower.see(PhaseStarted(Phase.DATA, "Reading 125 images"))
    reading = follower.standing.phase
    follower.see(StageStarted(0, True, 4, 0, 100, "cuda:0"))

    assert (reading, follower.standing.phase, follower.standing.device) == ("Reading 125 images", None, "cuda:0")


def test_it_may_be_silent_for_twenty_times_the_usual_step(follower: RunFollower, clock: Clock) -> None:
    for seconds in (30.0, 60.0, 90.0):
        clock.now += seconds
        follower.see(steps(1))

    assert follower.stall_after_s == 1200


def test_several_steps_in_one_event_share_its_time(follower: RunFollower, clock: Clock) -> None:
    for _event in range(3):
        clock.now += 2.0
        follower.see(steps(4))

    assert follower.stall_after_s == 10


def test_nothing_is_known_of_steps_before_there_were_some(follower: RunFollower, clock: Clock) -> None:
    clock.now += 500
    follower.see(PhaseProgress(Phase.WEIGHTS, 1, 2))
    follower.see(steps(1))

    assert follower.stall_after_s is None


def test_what_happens_between_two_steps_is_not_part_of_the_second(follower: RunFollower, clock: Clock) -> None:
    for _epoch in range(3):
        clock.now += 100
        follower.see(PhaseProgress(Phase.EVALUATION, 1, 2))
        clock.now += 1
        follower.see(steps(1))

    assert follower.stall_after_s == 20


def steps(number: int) -> StepFinished:
    """So many steps at once."""
    return StepFinished(0, 0, 1, 10, (0.5,) * number, 0.001, 0.9, 10.0)


def one_epoch(follower: RunFollower, clock: Clock, epoch: int) -> None:
    """An epoch of 100 steps in 40 s, then 20 s of answers."""
    clock.now += 40
    follower.see(step_finished(100 * (epoch + 1), epoch=epoch, losses=100))
    follower.see(ValidationProgress(0, epoch, 1, 30))
    clock.now += 20
    follower.see(epoch_finished(0, epoch, duration_s=60))


def test_a_note_ends_no_measurement_and_is_no_phase(frozen: RunFollower, clock: Clock) -> None:
    for at, event in (
        (5, PhaseStarted(Phase.DATA, "Reading")),
        (7, Note(NoteTopic.RUNTIME, "A runtime is not used.")),
        (10, PhaseProgress(Phase.DATA, 100, 100)),
    ):
        clock.now = at
        frozen.see(event)
        assert frozen.standing.phase is not None
        assert frozen.standing.phase.startswith("Reading")

    assert [(one.item.work.value, one.seconds) for one in frozen.measurements] == [("start", 5), ("read", 5)]
