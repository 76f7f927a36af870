import pytest

from backend.domain.events import (
    Event,
    Note,
    NoteTopic,
    Phase,
    PhaseProgress,
    PhaseStarted,
    StageStarted,
    ValidationProgress,
)
from backend.domain.training import Precision, StageRequest, TrainingConfig, TrainingRequest, resolve
from backend.training.forecast.cursor import WorkCursor
from backend.training.forecast.speeds import Rates, Source, Speed, speeds_of
from backend.training.forecast.work import Counts, Work, WorkItem, work_items
from tests.backend.training.scene import epoch_finished, stage_finished, step_finished

COUNTS = Counts(train=80, valid=20, test=0)
NET = "efficientnet-lite0"
STILL = resolve(TrainingRequest(stages=(StageRequest(freeze=True, epochs=2, views=1),)))
MOVES = resolve(TrainingRequest(stages=(StageRequest(freeze=False, epochs=2),)))


def taken(
    config: TrainingConfig, *reported: tuple[float, Event], goes_on: bool = False
) -> list[tuple[str, float, object]]:
    """Kind, amount and seconds of what is measured with events at such times."""
    now = 0.0
    cursor = WorkCursor(work_items(config, COUNTS), goes_on=goes_on, monotonic=lambda: now)
    for now, event in reported:  # noqa: B007  # the clock reads it
        cursor.see(event)
    speeds = speeds_of(cursor.measurements, config, "run")
    return [(speed.work.value, speed.amount, pytest.approx(speed.seconds)) for speed in speeds]


def test_it_takes_down_each_phase_of_a_frozen_stage() -> None:
    reported = (
        (4, PhaseStarted(Phase.WEIGHTS, "")),
        (5, PhaseStarted(Phase.DATA, "")),
        (6, PhaseProgress(Phase.DATA, 100, 100)),
        (6, PhaseStarted(Phase.FEATURES, "")),
        (8, PhaseProgress(Phase.FEATURES, 20, 100)),
        (16, PhaseProgress(Phase.FEATURES, 100, 100)),
        (16, StageStarted(0, True, 2, 0, 3, "cpu")),
        (17, step_finished(3)),
        (17, epoch_finished(0, 0)),
        (18, epoch_finished(0, 1)),
        (19, PhaseStarted(Phase.EXPORT, "")),
        (23, stage_finished(0)),
    )

    assert taken(STILL, *reported) == [
        ("start", 1, 5),
        ("read", 100, 1),
        ("prepare", 1, 2),
        ("features", 80, 8),
        ("head", 80, 1),
        ("head", 80, 1),
        ("export", 1, 4),
    ]


def test_time_that_other_programs_took_counts_for_the_time_left_but_not_for_later_forecasts() -> None:
    now = 0.0
    cursor = WorkCursor(work_items(STILL, COUNTS), monotonic=lambda: now, quiet=lambda: now / 2)
    reported: tuple[tuple[float, Event], ...] = (
        (4, PhaseStarted(Phase.DATA, "")),
        (10, PhaseProgress(Phase.DATA, 100, 100)),
    )
    for now, event in reported:  # noqa: B007  # the clock reads it
        cursor.see(event)

    assert [one.seconds for one in cursor.measurements] == [4, 6]
    assert [speed.seconds for speed in speeds_of(cursor.measurements, STILL, "run")] == [2, 3]


def test_a_note_ends_no_measurement() -> None:
    reported = (
        (4, PhaseStarted(Phase.WEIGHTS, "")),
        (5, PhaseStarted(Phase.DATA, "")),
        (7, Note(NoteTopic.RUNTIME, "A runtime is not used.")),
        (9, PhaseProgress(Phase.DATA, 100, 100)),
        (9, PhaseStarted(Phase.EXPORT, "")),
    )

    assert ("read", 100, 4) in taken(MOVES, *reported)


def test_steps_and_predictions_of_an_epoch_are_timed_separately() -> None:
    reported = (
        (0, PhaseStarted(Phase.DATA, "")),
        (10, StageStarted(0, False, 2, 0, 3, "cpu")),
        (30, step_finished(3)),
        (31, ValidationProgress(0, 0, 10, 20)),
        (32, epoch_finished(0, 0)),
    )

    assert taken(MOVES, *reported) == [("move", 80, 20), ("answer", 20, 2)]


def test_a_number_format_of_somebodys_own_choice_shows_nothing_of_learning() -> None:
    own = resolve(TrainingRequest(stages=(StageRequest(freeze=False, epochs=2),), precision=Precision.FLOAT32))
    reported = (
        (0, PhaseStarted(Phase.DATA, "")),
        (10, StageStarted(0, False, 2, 0, 3, "cpu")),
        (30, step_finished(3)),
        (32, epoch_finished(0, 0)),
    )

    assert taken(own, *reported) == [("answer", 20, 2)]


def test_a_download_is_not_how_fast_a_start_is() -> None:
    reported = (
        (1, PhaseProgress(Phase.WEIGHTS, 1, 9)),
        (99, PhaseStarted(Phase.DATA, "")),
        (100, PhaseProgress(Phase.DATA, 100, 100)),
        (100, PhaseStarted(Phase.FEATURES, "")),
    )

    assert taken(STILL, *reported) == [("read", 100, 1)]


def test_an_epoch_that_began_before_an_interruption_is_left_out() -> None:
    reported = (
        (10, StageStarted(0, False, 2, 0, 3, "cpu")),
        (11, step_finished(3)),
        (12, epoch_finished(0, 0)),
        (32, step_finished(6, steps=6, epoch=1)),
        (33, epoch_finished(0, 1)),
    )

    assert taken(MOVES, *reported, goes_on=True) == [("start", 1, 10), ("move", 80, 20), ("answer", 20, 1)]


def test_nothing_is_said_of_a_machine_that_nobody_measured() -> None:
    assert Rates([]).estimate(WorkItem(Work.MOVE, 10, 224), NET) is None
    assert Rates([]).estimate(WorkItem(Work.EXPORT, 1, 224), NET) is None


def test_runs_of_the_same_network_say_it_best() -> None:
    rates = Rates(
        [
            Speed(Work.MOVE, NET, 224, 16, 8, None),
            Speed(Work.MOVE, NET, 224, 80, 20, "a"),
            Speed(Work.MOVE, "resnet18", 224, 80, 80, "b"),
        ]
    )

    said = rates.estimate(WorkItem(Work.MOVE, 160, 224), NET)

    assert said is not None
    assert (said.seconds, said.source, said.runs) == (40.0, Source.RUNS, frozenset({"a"}))


def test_the_middle_of_the_latest_five_runs_counts() -> None:
    seconds = (9, 1, 2, 2, 3, 100, 100, 100)

    said = Rates([Speed(Work.READ, None, 224, 1, one, str(run)) for run, one in enumerate(seconds)]).estimate(
        WorkItem(Work.READ, 1, 128), NET
    )

    assert said is not None
    assert said.seconds == 2


def test_a_run_of_many_epochs_counts_no_more_than_one_of_few() -> None:
    slow = [Speed(Work.MOVE, NET, 224, 80, 80, "long") for _ in range(100)]
    quick = [Speed(Work.MOVE, NET, 224, 80, 40, run) for run in ("a", "b")]

    said = Rates([*slow, *quick]).estimate(WorkItem(Work.MOVE, 80, 224), NET)

    assert said is not None
    assert said.seconds == 40


TESTED = [
    Speed(Work.READ, None, 224, 24, 0.05),
    Speed(Work.ANSWER, NET, 224, 8, 0.16),
    Speed(Work.MOVE, NET, 224, 8, 2.0),
    Speed(Work.FEATURES, NET, 224, 24, 0.3),
]


def test_runs_of_a_few_pictures_on_a_busy_machine_dont_turn_six_epochs_into_hours() -> None:
    loaded = [
        Speed(work, architecture, 224, amount, seconds, run)
        for run in ("a", "b")
        for work, architecture, amount, seconds in (
            (Work.READ, None, 6, 3.0),
            (Work.MOVE, NET, 4, 50.0),
            (Work.ANSWER, NET, 2, 24.0),
            (Work.FEATURES, NET, 4, 9.0),
        )
    ]
    config = resolve(TrainingRequest(stages=(StageRequest(freeze=False, epochs=6),)))
    rates = Rates([*loaded, *TESTED])

    said = [rates.estimate(item, NET) for item in work_items(config, Counts(train=126, valid=30, test=0))]

    # Each epoch: 5 s and 126 pictures at 0.75 s, 5 s and 30 answers at 0.06 s. 10,016 to 18,601 s was said of it.
    assert sum(one.seconds for one in said if one is not None) == pytest.approx(650, abs=1)


def test_what_nobody_measured_takes_at_most_five_times_as_long_as_elsewhere() -> None:
    said = Rates([Speed(Work.READ, None, 224, 4, 40.0, "a")]).estimate(WorkItem(Work.EXPORT, 1, 224), NET)

    assert said is not None
    assert said.seconds == 11.0


def test_it_scales_with_the_area_of_the_pictures() -> None:
    said = Rates([Speed(Work.ANSWER, NET, 112, 10, 1, "a")]).estimate(WorkItem(Work.ANSWER, 10, 224), NET)

    assert said is not None
    assert (said.seconds, said.source) == (4, Source.RUNS)


def test_other_networks_say_it_by_what_they_cost_against_each_other() -> None:
    said = Rates([Speed(Work.MOVE, "resnet18", 224, 10, 3.6, None)]).estimate(WorkItem(Work.MOVE, 10, 224), "resnet34")

    assert said is not None
    assert said.seconds == pytest.approx(6.0)
    assert said.source is Source.OTHERS


def test_other_work_of_the_same_network_shows_it_rather_than_another_network() -> None:
    rates = Rates([Speed(Work.ANSWER, "resnet18", 224, 10, 99, None), Speed(Work.ANSWER, NET, 224, 10, 1, None)])

    said = rates.estimate(WorkItem(Work.MOVE, 10, 224), NET)

    assert said is not None
    assert said.seconds == pytest.approx(12.0)
    assert said.source is Source.OTHERS


def test_an_export_nobody_measured_takes_what_it_takes_elsewhere_on_a_machine_half_as_fast() -> None:
    said = Rates([Speed(Work.READ, None, 224, 500, 2, None)]).estimate(WorkItem(Work.EXPORT, 1, 224), NET)

    assert said is not None
    assert (said.seconds, said.source) == (4.4, Source.USUAL)
