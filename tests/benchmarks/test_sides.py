from collections.abc import Sequence
from pathlib import Path

import pytest

import benchmarks
from backend.domain.training import Recipe, StageRequest, TrainingRequest, resolve
from benchmarks.sides import GRID, GridPoint, Planned, Side, best_point, fine_tune, lesson, ours, planned
from benchmarks.suite_run import Epoch, SuiteRun

VARIANTS = Path(benchmarks.__file__).parent / "variants"


def epoch(
    error_rate: float, *, stage: int = 0, loss: float = 0.5, seconds: float = 1.0, processor_seconds: float = 2.0
) -> Epoch:
    return Epoch(stage=stage, seconds=seconds, processor_seconds=processor_seconds, error_rate=error_rate, loss=loss)


def measured(
    side: Side,
    *epochs: Epoch,
    name: str = "signs",
    seed: int = 1,
    error_rate: float | None = None,
    test_error_rate: float = 0.1,
    load: float = 0.5,
) -> SuiteRun:
    return SuiteRun(
        set=name,
        seed=seed,
        side=side.name,
        settings=side.settings,
        seconds=epochs[-1].seconds,
        processor_seconds=epochs[-1].processor_seconds,
        error_rate=epochs[-1].error_rate if error_rate is None else error_rate,
        test_error_rate=test_error_rate,
        epochs=epochs,
        peak_memory=1,
        train_images=80,
        valid_images=20,
        test_images=25,
        load_before=load,
        load_after=load,
        at="2026-11-28T21:00:00+00:00",
    )


def tuned(epochs: int, base_lr: float, error_rate: float, *, loss: float = 0.5, seed: int = 1) -> SuiteRun:
    return measured(fine_tune(GridPoint(epochs, base_lr)), epoch(error_rate, loss=loss), seed=seed)


def test_the_grid_has_every_pair_of_epochs_and_rate_once() -> None:
    pairs = {(point.epochs, point.base_lr) for point in GRID if not point.fixed_norms}

    assert len(set(GRID)) == len(GRID) == 10
    assert [point for point in GRID if point.fixed_norms] == [GridPoint(10, 2e-3, fixed_norms=True)]
    assert pairs == {(epochs, base_lr) for epochs in (3, 5, 10) for base_lr in (1e-3, 2e-3, 5e-3)}
    assert GRID[0] == GridPoint(10, 2e-3)


def test_the_best_grid_point_has_the_lowest_validation_error() -> None:
    runs = [tuned(5, 2e-3, 0.2), tuned(10, 5e-3, 0.1), tuned(3, 1e-3, 0.3), measured(lesson(), epoch(0.01))]

    assert best_point(runs) == GridPoint(10, 5e-3)


def test_of_grid_points_with_equal_errors_the_lower_loss_is_better() -> None:
    assert best_point([tuned(5, 2e-3, 0.2, loss=0.7), tuned(10, 2e-3, 0.2, loss=0.6)]) == GridPoint(10, 2e-3)


def test_the_test_error_does_not_choose_the_grid_point() -> None:
    good = tuned(5, 2e-3, 0.1).model_copy(update={"test_error_rate": 0.9})
    bad = tuned(10, 2e-3, 0.2).model_copy(update={"test_error_rate": 0.0})

    assert best_point([good, bad]) == GridPoint(5, 2e-3)


def test_without_a_measured_point_there_is_no_best_one() -> None:
    assert best_point([measured(lesson(), epoch(0.1))]) is None


def plan(*, best: GridPoint | None = None, seeds: Sequence[int] = (1, 2)) -> list[Planned]:
    runs = [] if best is None else [tuned(best.epochs, best.base_lr, 0.1)]
    return [*planned(["pets", "signs"], seeds, ours({}), lambda name, seed: runs)]


def test_every_set_has_our_side_and_one_grid_point_first_in_alternating_order() -> None:
    first = [(one.set, one.seed, one.side.name) for one in plan()[:4]]

    assert first == [
        ("pets", 1, "ours"),
        ("pets", 1, "fastai fine_tune, 10 epochs, base_lr 0.002"),
        ("signs", 1, "fastai fine_tune, 10 epochs, base_lr 0.002"),
        ("signs", 1, "ours"),
    ]


def test_the_whole_grid_is_measured_on_the_first_seed_and_the_best_point_on_the_others() -> None:
    found = plan(best=GridPoint(10, 5e-3))

    on_first = {one.side.name for one in found if one.set == "pets" and one.seed == 1}
    on_second = [one.side.name for one in found if one.set == "pets" and one.seed == 2]
    assert on_first == {"ours", "fastai lesson", *(fine_tune(point).name for point in GRID)}
    assert on_second == ["fastai lesson", "fastai fine_tune, 10 epochs, base_lr 0.005", "ours"]


def test_other_seeds_wait_for_a_measured_grid_point() -> None:
    assert [one.side.name for one in plan() if one.seed == 2] == ["ours", "ours"]


def test_variants_of_a_request_are_sides_of_ours() -> None:
    request = TrainingRequest(recipe=Recipe.RECOMMENDED, stages=(StageRequest(epochs=3),))

    sides = ours({"short": request})

    assert [side.name for side in sides] == ["ours", "ours: short"]
    config = sides[1].job(7)["config"]
    assert (config["seed"], [stage["epochs"] for stage in config["stages"]]) == (7, [3])


@pytest.mark.parametrize("file", [*VARIANTS.glob("*.json")], ids=lambda file: file.name)
def test_a_variant_that_comes_with_the_suite_is_a_request(file: Path) -> None:
    request = TrainingRequest.model_validate_json(file.read_text("utf-8"))

    assert resolve(request).stages[0].freeze


def test_settings_change_with_the_numbers_of_a_training() -> None:
    short, shorter = (TrainingRequest(stages=(StageRequest(epochs=epochs),)) for epochs in (3, 2))

    assert Side("ours: a", short).settings == Side("ours: b", short).settings
    assert Side("ours: a", short).settings != Side("ours: a", shorter).settings
    assert fine_tune(GRID[0]).settings != fine_tune(GRID[1]).settings


def test_fastai_gets_the_numbers_of_a_grid_point_and_the_courses_batch() -> None:
    job = fine_tune(GridPoint(10, 5e-3)).job(3)

    assert job["stages"] == [{"epochs": 10, "base_lr": 0.005}]
    assert (job["architecture"], job["seed"], job["batch_size"], job["image_size"], job["best"]) == (
        "efficientnet-lite0",
        3,
        64,
        224,
        False,
    )
