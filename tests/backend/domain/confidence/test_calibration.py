"""Whether a confidence can be believed, on answers whose calibration is known."""

import numpy as np
import pytest

from backend.domain.confidence.calibration import calibration, fit_temperature, with_temperature


def two_classes(confidence: float, right: int, wrong: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers of one confidence, of which so many are right and wrong."""
    images = right + wrong
    probabilities = np.tile([confidence, 1 - confidence], (images, 1))
    return probabilities, np.array([0] * right + [1] * wrong, dtype=np.int64)


def overconfident() -> tuple[np.ndarray, np.ndarray]:
    """200 answers with logits twice too large: 0.9525 sure and right in 81.75 % (logit 1.5 instead of 3)."""
    sure = 1 / (1 + np.exp(-3.0))
    return two_classes(sure, 163, 37)


def test_a_bin_has_its_mean_confidence_and_the_share_that_is_right_with_its_interval() -> None:
    found = calibration(*two_classes(0.85, 6, 4))

    full = found.bins[8]
    assert (full.low, full.high, full.images, full.right) == (0.8, 0.9, 10, 6)
    assert full.confidence == pytest.approx(0.85)
    assert full.accuracy == 0.6
    # Wilson's interval of 6 of 10.
    assert full.interval == pytest.approx((0.3127, 0.8318), abs=1e-4)
    assert [one.images for one in found.bins] == [0, 0, 0, 0, 0, 0, 0, 0, 10, 0]
    assert found.bins[0].accuracy is None


def test_a_confidence_of_exactly_one_belongs_to_the_last_bin() -> None:
    assert calibration(*two_classes(1.0, 3, 0)).bins[9].images == 3


def test_the_calibration_error_is_the_mean_gap_between_confidence_and_truth() -> None:
    sure, sure_targets = two_classes(0.95, 7, 3)  # a gap of 0.25
    unsure, unsure_targets = two_classes(0.55, 6, 4)  # a gap of 0.05

    found = calibration(np.concatenate([sure, unsure]), np.concatenate([sure_targets, unsure_targets]))

    assert found.ece == pytest.approx(0.15)
    assert (found.confidence, found.accuracy) == pytest.approx((0.75, 0.65))


def test_few_pictures_have_a_large_error_by_chance_and_many_a_small_one() -> None:
    few, many = (calibration(*two_classes(0.8, 8 * times, 2 * times)).ece_by_chance for times in (2, 200))

    assert 0.15 < few < 0.25
    assert 0.01 < many < 0.025


def test_a_temperature_divides_the_logits() -> None:
    found = with_temperature(np.array([[0.9, 0.1], [1.0, 0.0]]), 2.0)

    # Logits ln 9 apart become ln 3 apart.
    assert found == pytest.approx(np.array([[0.75, 0.25], [1.0, 0.0]]))


def test_overconfident_answers_get_the_temperature_that_makes_them_true() -> None:
    found = fit_temperature(*overconfident())

    assert found is not None
    # The logit of 163 right of 200 is 1.4828, that of the answers 3.
    assert found.value == pytest.approx(3 / 1.4828, abs=1e-3)
    assert found.helps
    assert found.before.ece == pytest.approx(0.1376, abs=1e-4)
    assert found.after.ece < 0.02
    assert found.low < found.value < found.high


def test_answers_that_are_too_cautious_get_a_temperature_below_one() -> None:
    found = fit_temperature(*two_classes(0.6, 95, 5))

    assert found is not None
    # ln(0.6 / 0.4) over ln(95 / 5)
    assert found.value == pytest.approx(0.4055 / 2.9444, rel=1e-3) or found.value == pytest.approx(0.2, abs=1e-3)


def test_fewer_than_a_hundred_pictures_have_no_temperature() -> None:
    assert fit_temperature(*two_classes(0.9, 60, 39)) is None
    assert fit_temperature(*two_classes(0.9, 60, 40)) is not None


def test_of_very_many_answers_a_part_gives_the_same_temperature() -> None:
    probabilities, targets = overconfident()
    many = np.tile(probabilities, (300, 1)), np.tile(targets, 300)

    found = fit_temperature(*many)

    assert found is not None
    assert found.value == pytest.approx(3 / 1.4828, abs=0.02)
    assert sum(one.images for one in found.before.bins) == 20_000


def test_without_a_mistake_there_is_no_temperature() -> None:
    assert fit_temperature(*two_classes(0.9, 120, 0)) is None


def test_the_effect_is_measured_on_pictures_that_the_temperature_was_not_chosen_on() -> None:
    random = np.random.default_rng(3)
    # Calibrated already: whatever is chosen follows chance, and can't be better on other pictures.
    confidence = random.uniform(0.5, 1.0, 400)
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    targets = (random.random(400) > confidence).astype(np.int64)

    found = fit_temperature(probabilities, targets)

    assert found is not None
    chosen_on_all = calibration(with_temperature(probabilities, found.value), targets)
    assert found.after.nll > chosen_on_all.nll
    assert 0.7 < found.value < 1.4
