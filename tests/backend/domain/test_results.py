import numpy as np
import pytest

from backend.domain.results import (
    Confusion,
    Evaluation,
    ProportionWords,
    accuracy_words,
    chance_of_flips,
    proportion_words,
    wilson_interval,
)

EVALUATION = Evaluation(
    classes=("cat", "dog", "owl"),
    image_ids=("a", "b", "c", "d", "e"),
    probabilities=np.array(
        [[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.5, 0.4, 0.1], [0.0, 1.0, 0.0]], dtype=np.float32
    ),
    targets=np.array([0, 1, 1, 1, 0]),
)


def test_rows_of_the_confusion_matrix_are_actual_classes() -> None:
    assert EVALUATION.confusion_matrix().tolist() == [[1, 1, 0], [2, 1, 0], [0, 0, 0]]


def test_the_most_confused_pair_comes_first() -> None:
    assert EVALUATION.most_confused() == [Confusion("dog", "cat", 2), Confusion("cat", "dog", 1)]
    assert EVALUATION.most_confused(min_count=2) == [Confusion("dog", "cat", 2)]


def test_losses_are_in_nats_and_finite_even_for_a_certain_mistake() -> None:
    assert EVALUATION.losses[:3] == pytest.approx([0.22314, 0.35667, 1.20397], abs=1e-5)
    assert EVALUATION.losses[4] == pytest.approx(87.3365, abs=1e-3)


def test_top_losses_are_the_worst_first() -> None:
    assert EVALUATION.top_losses(3) == [4, 2, 3]


def test_errors_are_counted() -> None:
    assert EVALUATION.errors == 3
    assert EVALUATION.predicted.tolist() == [0, 1, 0, 0, 1]


def test_each_class_has_its_report() -> None:
    cat, dog, owl = EVALUATION.per_class()

    assert (cat.images, cat.predicted, cat.correct) == (2, 3, 1)
    assert (cat.precision, cat.recall, cat.f1) == pytest.approx((1 / 3, 0.5, 0.4))
    assert (dog.precision, dog.recall) == pytest.approx((0.5, 1 / 3))
    assert (owl.precision, owl.recall, owl.f1) == (None, None, None)
    # Wilson's intervals of 1 of 3, 1 of 2 and, for F1, 1 of 4.
    assert cat.precision_interval == pytest.approx((0.0615, 0.7923), abs=1e-4)
    assert cat.recall_interval == pytest.approx((0.0945, 0.9055), abs=1e-4)
    assert cat.f1_interval == pytest.approx((0.0872, 0.8231), abs=1e-4)
    assert (owl.precision_interval, owl.recall_interval, owl.f1_interval) == (None, None, None)


@pytest.mark.parametrize(
    ("errors", "images", "low", "high"),
    # Values of R's binom::binom.wilson and of the closed form.
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 50, 0.0435, 0.2136), (0, 0, 0.0, 1.0)],
)
def test_the_interval_is_wilsons(errors: int, images: int, low: float, high: float) -> None:
    assert wilson_interval(errors, images) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("images", [1, 7, 8, 45, 166, 1478, 99_999])
def test_an_interval_ends_exactly_where_nothing_can_be_better_or_worse(images: int) -> None:
    # 8 of 8 gave 5.55e-17 instead of 0.
    assert wilson_interval(0, images)[0] == 0.0
    assert wilson_interval(images, images)[1] == 1.0


@pytest.mark.parametrize(
    ("errors", "images", "words"),
    [
        (0, 8, "100 % right (likely 68 to 100 %)"),
        (7, 45, "84 % right (likely 71 to 92 %)"),
        (86, 1478, "94.2 % right (likely 92.9 to 95.3 %)"),
        (8, 8, "0 % right (likely 0 to 32 %)"),
        (1, 10_000, "99.99 % right (likely 99.9 to 99.998 %)"),
        (1, 200, "99.5 % right (likely 97.2 to 99.9 %)"),
    ],
)
def test_a_result_is_asked_as_right_with_its_interval(errors: int, images: int, words: str) -> None:
    assert accuracy_words(errors, images) == words


def test_a_share_has_no_more_decimals_than_its_interval_allows() -> None:
    assert proportion_words(12, 166) == ProportionWords("7 %", "likely 4 to 12 %")
    assert proportion_words(105, 1478) == ProportionWords("7.1 %", "likely 5.9 to 8.5 %")


@pytest.mark.parametrize(
    ("mended", "spoiled", "chance"),
    # The two-sided exact binomial test of SciPy 1 (binomtest) at one half.
    [(9, 17, 0.16863754), (17, 9, 0.16863754), (0, 5, 0.0625), (0, 6, 0.03125), (62, 12, 2.8555486e-09), (4, 4, 1.0)],
)
def test_uneven_flips_are_rare_by_chance(mended: int, spoiled: int, chance: float) -> None:
    assert chance_of_flips(mended, spoiled) == pytest.approx(chance, rel=1e-6)


def test_no_flips_say_nothing_and_very_many_are_no_hurdle() -> None:
    assert chance_of_flips(0, 0) == 1.0
    assert chance_of_flips(5000, 5000) == 1.0
