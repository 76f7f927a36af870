import pytest

from benchmarks.summary import Run, memory, standard_error, summarise


def run(contender: str, seconds: float, error_rate: float = 0.1, seed: int = 1) -> Run:
    return Run(
        contender=contender,
        seed=seed,
        seconds=seconds,
        error_rate=error_rate,
        errors=((0.5, error_rate), (0.3,)),
        peak_memory=2_000_000_000,
        train_images=100,
        valid_images=20,
    )


def test_a_ratio_is_of_the_medians() -> None:
    runs = [run("ours", 2), run("ours", 10), run("ours", 4), run("fastai", 100), run("fastai", 80), run("fastai", 400)]

    figures = summarise(runs, epochs=4, weights="imagenet")

    assert (figures["seconds_ours"], figures["seconds_fastai"], figures["ratio"]) == (4, 100, 25)
    assert figures["ratio_best"] is None
    assert figures["images_per_s_fastai"] == 4


def test_errors_are_means_with_their_spread_and_every_seed_beside_them() -> None:
    runs = [run("fastai", 1, error) for error in (0.1, 0.2, 0.3)]

    figures = summarise(runs, epochs=4, weights="imagenet")

    assert figures["errors_fastai"] == [0.1, 0.2, 0.3]
    assert figures["error_fastai"] == pytest.approx(0.2)
    # Deviation 0.1, through the root of 3.
    assert figures["error_standard_error_fastai"] == pytest.approx(0.057735)
    assert figures["errors_last_fastai"] == [0.3, 0.3, 0.3]


def test_one_seed_has_no_spread() -> None:
    assert standard_error([0.2]) is None


def test_errors_of_drawn_weights_are_left_out() -> None:
    figures = summarise([run("ours", 1), run("fastai", 2)], epochs=4, weights="random")

    assert figures["weights"] == "random"
    assert [key for key in figures if key.startswith("error")] == []


def test_what_ours_takes_with_checkpoint_and_export_is_asked_apart() -> None:
    figures = summarise([run("ours", 3).model_copy(update={"seconds_total": 5.0})], epochs=4, weights="imagenet")

    assert (figures["seconds_ours"], figures["seconds_total_ours"]) == (3, 5)


def test_memory_is_the_most_of_any_part() -> None:
    parts = {"frozen": {"memory_ours": 3, "memory_fastai": 9}, "lesson": {"memory_ours": 4}}

    assert memory(parts) == {"ours": 4, "fastai": 9}


def test_a_lesson_read_off_after_its_first_stage_is_the_frozen_part() -> None:
    lesson = run("fastai", 9.0, 0.1).model_copy(update={"after_stages": ((6.0, 1_000), (9.0, 3_000))})

    frozen = lesson.first_stages(1, "of the frozen part")

    assert (frozen.seconds, frozen.peak_memory, frozen.error_rate) == (6.0, 1_000, 0.1)
    assert (frozen.errors, frozen.settings) == (((0.5, 0.1),), "of the frozen part")
