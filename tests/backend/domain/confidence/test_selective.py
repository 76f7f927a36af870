"""Answering only when sure."""

import numpy as np
import pytest

from backend.domain.confidence.selective import answering, answering_by_class, answering_table

CLASSES = ("cat", "dog")
PROBABILITIES = np.array([[0.95, 0.05], [0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.45, 0.55]])
TARGETS = np.array([0, 0, 1, 1, 0])


def test_at_a_threshold_it_answers_some_pictures_and_errs_in_some_of_those() -> None:
    found = answering(PROBABILITIES, TARGETS, CLASSES, 0.6)

    assert (found.images, found.answered, found.wrong) == (5, 4, 1)
    assert (found.coverage, found.error_rate) == (0.8, 0.25)
    # Wilson's intervals of 4 of 5 and 1 of 4.
    assert found.coverage_interval == pytest.approx((0.3755, 0.9638), abs=1e-4)
    assert found.error_interval == pytest.approx((0.0456, 0.6994), abs=1e-4)


def test_a_confidence_equal_to_the_threshold_is_answered() -> None:
    assert answering(PROBABILITIES, TARGETS, CLASSES, 0.9).answered == 2


def test_above_every_confidence_nothing_is_answered_and_no_error_rate_is_given() -> None:
    found = answering(PROBABILITIES, TARGETS, CLASSES, 0.99)

    assert (found.answered, found.coverage, found.error_rate) == (0, 0.0, None)
    assert found.error_interval == (0.0, 1.0)


def test_a_class_can_have_a_threshold_of_its_own() -> None:
    found = answering(PROBABILITIES, TARGETS, CLASSES, 0.5, {"cat": 0.92})

    assert (found.answered, found.wrong) == (3, 1)


def test_by_class_it_counts_the_pictures_predicted_as_the_class() -> None:
    cat, dog = answering_by_class(PROBABILITIES, TARGETS, CLASSES, 0.6, {"dog": 0.5})

    assert (cat.threshold, cat.images, cat.answered, cat.wrong) == (0.6, 3, 3, 1)
    assert (dog.threshold, dog.images, dog.answered, dog.wrong) == (0.5, 2, 2, 1)


def test_the_table_begins_with_answering_everything() -> None:
    found = answering_table(PROBABILITIES, TARGETS, CLASSES)

    assert [one.threshold for one in found] == [0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99]
    assert [one.answered for one in found] == [5, 5, 4, 4, 3, 2, 1, 0, 0]
