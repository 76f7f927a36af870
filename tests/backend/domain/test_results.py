import numpy as np
import pytest

from backend.domain.results import Confusion, Evaluation, chance_of_flips, wilson_interval

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


@pytest.mark.parametrize(
    ("errors", "images", "low", "high"),
    # Values of R's binom::binom.wilson and of the closed form.
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 50, 0.0435, 0.2136), (0, 0, 0.0, 1.0)],
)
def test_the_interval_is_wilsons(errors: int, images: int, low: float, high: float) -> None:
    assert wilson_interval(errors, images) == pytest.approx((low, high), abs=5e-5)


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
