"""The six steps say where a dataset stands."""

from backend.journey.repository import ModelStand, Progress, RunStand
from backend.journey.steps import StepName, steps


def words(progress: Progress) -> list[tuple[str, str]]:
    return [(step.word, step.path) for step in steps(progress, StepName.PICTURES)]


def test_an_empty_dataset_wants_pictures_and_shows_why_the_rest_waits() -> None:
    found = steps(Progress("d", 0), StepName.PICTURES)

    assert [step.state for step in found] == ["open", "closed", "closed", "closed", "closed", "closed"]
    assert found[1].why_closed == "Add pictures first; ten are enough to try the rules."
    assert [step.name for step in found] == ["Pictures", "Labels", "Look", "Train", "Understand", "Use"]


def test_pictures_open_the_labels() -> None:
    assert words(Progress("d", 7390))[:2] == [("ok, 7,390", "/datasets/d"), ("next", "/datasets/d/labels")]


def test_a_version_opens_look_and_train() -> None:
    assert words(Progress("d", 9, "v", 2))[1:4] == [
        ("ok, version 2", "/datasets/d/labels"),
        ("next", "/versions/v"),
        ("not yet", "/versions/v/train"),
    ]


def test_a_running_training_leads_to_its_page() -> None:
    assert words(Progress("d", 9, "v", 1, active_run=RunStand("r", "running", 1)))[3] == ("running", "/runs/r")


def test_a_trained_model_opens_the_last_two() -> None:
    found = words(
        Progress(
            "d",
            9,
            "v",
            1,
            run=RunStand("r2", "failed", 1),
            trained=RunStand("r1", "succeeded", 1),
            model=ModelStand("c", 1, "r1"),
        )
    )

    assert found[3:] == [
        ("failed", "/versions/v/train"),
        ("ok", "/runs/r1/understand"),
        ("ready", "/checkpoints/c/try"),
    ]


def test_the_first_model_of_a_training_that_goes_on_can_be_looked_at() -> None:
    running = RunStand("r1", "running", 1)
    found = words(Progress("d", 9, "v", 1, run=running, active_run=running, model=ModelStand("c", 1, "r1")))

    assert found[3:] == [
        ("running", "/runs/r1"),
        ("first model", "/runs/r1/understand"),
        ("ready", "/checkpoints/c/try"),
    ]


def test_results_of_an_earlier_version_are_not_those_of_the_newest() -> None:
    progress = Progress("d", 9, "v2", 2, trained=RunStand("r1", "succeeded", 1), model=ModelStand("c", 1, "r1"))

    found = steps(progress, StepName.TRAIN)

    assert [(step.word, step.state, step.path) for step in found[2:]] == [
        ("next", "open", "/versions/v2"),
        ("next, version 2", "open", "/versions/v2/train"),
        ("of version 1", "open", "/runs/r1/understand"),
        ("of version 1", "open", "/checkpoints/c/try"),
    ]


def test_one_step_is_where_we_are() -> None:
    found = steps(Progress("d", 0), StepName.LOOK)

    assert [step.number for step in found if step.is_current] == [3]
