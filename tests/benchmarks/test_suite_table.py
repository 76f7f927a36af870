import pytest

from benchmarks.sides import GridPoint, fine_tune, lesson, ours
from benchmarks.suite_run import SuiteRun
from benchmarks.suite_summary import SideFigures, chosen_point, grid_errors, summarise_set
from benchmarks.suite_table import draw
from benchmarks.table import Results
from tests.benchmarks.test_sides import epoch, measured

RECOMMENDED = ours({})[0]
BEST = fine_tune(GridPoint(10, 2e-3))


def our_run(seed: int, valid: float, test: float) -> SuiteRun:
    return measured(
        RECOMMENDED,
        epoch(0.4, seconds=2, processor_seconds=3),
        epoch(valid, stage=1, seconds=6, processor_seconds=10),
        seed=seed,
        test_error_rate=test,
    )


def tuned(seed: int, valid: float, test: float) -> SuiteRun:
    return measured(
        BEST,
        epoch(0.5, seconds=20, processor_seconds=40),
        epoch(valid, stage=1, seconds=60, processor_seconds=120),
        seed=seed,
        test_error_rate=test,
    )


def taught(seed: int, valid: float, test: float) -> SuiteRun:
    return measured(lesson(), epoch(valid, seconds=50, processor_seconds=100), seed=seed, test_error_rate=test)


RUNS = [
    *(our_run(1, 0.1, 0.12), our_run(2, 0.2, 0.16)),
    *(tuned(1, 0.2, 0.2), tuned(2, 0.15, 0.18)),
    *(taught(1, 0.3, 0.32), taught(2, 0.3, 0.30)),
    measured(fine_tune(GridPoint(5, 2e-3)), epoch(0.25), test_error_rate=0.01),
]


def figures(runs: list[SuiteRun] = RUNS) -> dict[str, SideFigures]:
    return {side.title: side for side in summarise_set(runs, cores=2)}


def test_fastai_is_quoted_by_its_lesson_and_its_best_grid_point() -> None:
    assert [*figures()] == ["ours", "fastai lesson", "fastai fine_tune, 10 epochs, base_lr 0.002"]


def test_errors_are_means_over_the_seeds_with_their_standard_error() -> None:
    side = figures()["ours"]

    assert side.test_error.mean == pytest.approx(0.14)
    assert side.test_error.standard_error == pytest.approx(0.02)
    assert side.valid_error.mean == pytest.approx(0.15)


def test_the_difference_is_to_the_side_of_fastai_with_the_lower_validation_error_seed_by_seed() -> None:
    found = figures()

    difference = found["ours"].difference
    assert difference is not None
    # 0.12 - 0.2 and 0.16 - 0.18.
    assert difference.mean == pytest.approx(-0.05)
    assert difference.standard_error == pytest.approx(0.03)
    assert found[BEST.name].difference is None


def test_the_ratio_is_of_processor_seconds_until_the_same_validation_error() -> None:
    side = figures()["ours"]

    # On seed 2 our validation error never comes down to 0.15.
    assert side.reached == 1
    assert side.ratio == 12.0
    assert side.until is not None
    assert (side.until.clock, side.until.processor) == (6, 10)


def test_the_first_result_is_the_end_of_the_first_stage() -> None:
    side = figures()["ours"]

    assert (side.first.clock, side.first.processor) == (2, 3)
    assert (side.whole.clock, side.whole.processor) == (6, 10)


def test_an_error_above_fastais_by_less_than_one_standard_error_is_good() -> None:
    within = figures([our_run(1, 0.1, 0.22), our_run(2, 0.1, 0.17), tuned(1, 0.2, 0.2), tuned(2, 0.2, 0.18)])
    above = figures([our_run(1, 0.1, 0.25), our_run(2, 0.1, 0.24), tuned(1, 0.2, 0.2), tuned(2, 0.2, 0.18)])

    assert within["ours"].is_good
    assert not above["ours"].is_good


def test_ours_alone_has_nothing_to_be_compared_with() -> None:
    side = figures([our_run(1, 0.1, 0.12)])["ours"]

    assert (side.difference, side.ratio, side.until) == (None, None, None)
    assert side.test_error.standard_error is None


def test_the_grid_is_compared_on_the_seed_on_which_it_was_measured() -> None:
    assert chosen_point(RUNS) == GridPoint(10, 2e-3)
    assert grid_errors(RUNS) == {GridPoint(5, 2e-3): 0.25, GridPoint(10, 2e-3): 0.2}


def results() -> Results:
    versions = {"python": "3.11.7", "torch": "2.14.1", "fastai": "2.8.12"}
    return {
        "machine": {"processor": "A processor", "cores": 2, "memory": 24 * 2**30, "versions": versions},
        "sets": {
            "signs": {"fingerprint": "f", "images": 125, "classes": 10},
            "not measured": {"fingerprint": "g", "images": 9, "classes": 2},
        },
        "runs": [run.model_dump(mode="json") for run in RUNS],
    }


def test_a_row_has_errors_difference_seconds_and_ratio() -> None:
    lines = draw(results()).splitlines()

    assert lines[2].startswith(
        "| **signs**, 10 classes: 80 images for training, 20 for validation, 25 for the test | |"
    )
    assert lines[3] == (
        "| ours, `recommended` | 14.0% (± 2.0) | -5.0 (± 3.0) | 15.0% (± 5.0) | 3 s (2 s) | 10 s (6 s) | 10 s (6 s) "
        "| 12.0 | 2, reached on 1 of 2 |"
    )
    assert [len(line.split("|")) for line in lines[:6]] == [11] * 6


def test_the_aims_are_judged_in_sentences() -> None:
    assert (
        "- `recommended`: test error at most that of fastai's best side, within one standard error, on 1 of 1 sets; "
        "at least 5 times faster to its error on 1."
    ) in draw(results())


def test_the_grid_shows_the_chosen_point_in_bold() -> None:
    drawn = draw(results())

    assert "| | 3, 0.001 | 3, 0.002 | 3, 0.005 | 5, 0.001 |" in drawn
    assert "| signs |  |  |  |  | 25.0% |  |  | **20.0%** |  |" in drawn


def test_a_file_without_runs_is_drawn_as_one_sentence() -> None:
    assert draw({**results(), "runs": []}) == "Nothing has been measured yet."


def test_seconds_of_a_busy_machine_have_a_star() -> None:
    busy = [run.model_copy(update={"load_before": 6.0}) for run in RUNS]
    content = {**results(), "runs": [run.model_dump(mode="json") for run in busy]}

    assert "| 10 s (6 s*) |" in draw(content)


def test_machine_and_loads_are_named() -> None:
    drawn = draw(results())

    assert "A processor, 2 cores, 24 GiB, Python 3.11.7, torch 2.14.1, fastai 2.8.12" in drawn
    assert "Load average between 0.5 and 0.5; measured from 2026-11-28 to 2026-11-28." in drawn


def test_where_fastai_was_not_measured_nothing_is_reached_or_not() -> None:
    results: Results = {
        "machine": {"processor": "A processor", "cores": 2, "memory": 8 << 30, "versions": {"python": "3.11.7"}},
        "sets": {"signs": {"classes": 10}},
        "runs": [our_run(1, 0.1, 0.12).model_dump(mode="json")],
    }

    row = next(line for line in draw(results).splitlines() if line.startswith("| ours"))

    assert row == "| ours, `recommended` | 12.0% |  | 10.0% | 3 s (2 s) | 10 s (6 s) |  |  | 1 |"
