import numpy as np
import pytest

from worker.engine.inside.units import agreements, chosen, class_shares, most_exciting, standardised

TARGETS = np.array([0, 0, 0, 1, 1, 1])


def peaks(*units: list[float]) -> np.ndarray:
    """(N, C) of the activations of each unit."""
    return np.array(units, np.float32).T


def test_classes_explain_all_or_nothing_or_what_is_beyond_chance() -> None:
    found = class_shares(peaks([1, 1, 1, 5, 5, 5], [1, 2, 3, 1, 2, 3], [0, 1, 2, 2, 3, 4], [7] * 6), TARGETS)

    # Of the third, the variance within classes is 1, that of all pictures 2.
    assert found.tolist() == pytest.approx([1, 0, 0.5, 0])


def test_with_one_picture_a_class_nothing_can_be_explained() -> None:
    assert class_shares(peaks([1, 2, 3]), np.array([0, 1, 2])).tolist() == [0]


def test_the_units_that_differ_most_between_classes_are_chosen() -> None:
    seen = peaks([1, 2, 3, 1, 2, 3], [0, 1, 0, 5, 6, 5], [2, 1, 4, 5, 3, 6])

    assert chosen(seen, class_shares(seen, TARGETS), 2) == [1, 2]


def test_of_units_that_respond_alike_only_one_is_chosen() -> None:
    seen = peaks([1, 1, 2, 5, 5, 6], [10, 10, 20, 50, 50, 60], [-1, -1, -2, -5, -5, -6], [1, 9, 2, 7, 3, 8])

    assert chosen(seen, class_shares(seen, TARGETS), 4) == [0, 3]


def test_units_that_respond_to_everything_alike_are_left_out() -> None:
    seen = peaks([3] * 6, [1, 2, 3, 1, 2, 3])

    assert chosen(seen, class_shares(seen, TARGETS), 4) == [1]


def test_the_pictures_that_excite_most_come_first() -> None:
    greys = standardised(np.eye(4, dtype=np.float32))

    assert most_exciting(np.array([1, 4, 2, 3], np.float32), greys, 3) == [1, 3, 2]


def test_near_copies_count_once() -> None:
    greys = standardised(np.array([[1, 2, 3, 9], [2, 4, 6, 18.1], [9, 3, 2, 1]], np.float32))

    assert most_exciting(np.array([3, 2, 1], np.float32), greys, 3) == [0, 2]


def test_a_unit_that_never_varies_has_no_pictures() -> None:
    assert most_exciting(np.zeros(3, np.float32), standardised(np.eye(3, dtype=np.float32)), 3) == []


def test_agreement_is_the_correlation_over_pictures() -> None:
    before = peaks([1, 2, 3], [1, 2, 3], [1, 2, 3], [4, 4, 4])
    after = peaks([2, 4, 6], [3, 2, 1], [1, 3, 2], [1, 2, 3])

    assert agreements(before, after).tolist() == pytest.approx([1, -1, 0.5, float("nan")], nan_ok=True)
