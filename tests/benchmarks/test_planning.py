from backend.domain.training import Recipe, StageRequest, TrainingRequest, resolve
from backend.training.forecast.speeds import Speed
from backend.training.forecast.work import Counts, Work
from benchmarks.planning import planned_config, speed_of
from benchmarks.sides import OURS, Side, lesson

COUNTS = Counts(train=300, valid=75, test=0)


def speeds(seconds_a_picture: float) -> list[Speed]:
    """A test of a machine on which each kind of work takes as long for a picture."""
    kinds = [work for work in Work if work not in (Work.START, Work.PREPARE, Work.EXPORT)]
    return [Speed(work, "efficientnet-lite0", 224, 1, seconds_a_picture) for work in kinds]


def test_recommended_is_planned_for_the_time_that_the_product_allows() -> None:
    request = TrainingRequest(recipe=Recipe.RECOMMENDED)

    fast, slow = (planned_config(request, COUNTS, speeds(seconds)) for seconds in (0.0001, 10.0))

    assert fast.minutes == slow.minutes == 10.0
    assert [stage.freeze for stage in fast.stages] == [True, False]
    assert [stage.freeze for stage in slow.stages] == [True]


def test_a_request_with_stages_is_left_as_it_is() -> None:
    request = TrainingRequest(recipe=Recipe.RECOMMENDED, stages=(StageRequest(epochs=3),))

    assert planned_config(request, COUNTS, speeds(10.0)) == resolve(request)


def test_a_side_of_ours_trains_by_its_plan_and_its_settings_tell() -> None:
    side = Side(OURS, TrainingRequest(recipe=Recipe.RECOMMENDED))

    fast, slow = (side.for_pictures(COUNTS, speeds(seconds)) for seconds in (0.0001, 10.0))

    assert len(slow.job(7)["config"]["stages"]) == 1
    assert slow.job(7)["config"]["seed"] == 7
    assert fast.settings != slow.settings


def test_fastai_is_not_planned() -> None:
    assert lesson().for_pictures(COUNTS, speeds(10.0)) == lesson()


def test_a_speed_is_read_from_json() -> None:
    content = {"work": "read", "architecture": None, "size": 224, "amount": 24, "seconds": 0.3, "run_id": None}

    assert speed_of(content, "frozen") == Speed(Work.READ, None, 224, 24, 0.3, "frozen")
