"""The score of a class, divided among the positions of a feature map; worked out by hand."""

import numpy as np
import pytest

from backend.domain.attribution import Head, attribution, evidence
from tests.fixtures.colour_model import head_of

RED, GREEN, BLUE = range(3)
# Each class's score is four times the mean of its colour; less the mean of the three scores.
COLOURS = Head.of(head_of(4 * np.eye(3, dtype=np.float32)))


def test_the_shares_of_all_positions_are_the_score_of_the_class() -> None:
    half_red_half_blue = np.zeros((3, 2, 2), np.float32)
    half_red_half_blue[RED, :, 0] = half_red_half_blue[BLUE, :, 1] = 1

    for_red = attribution(half_red_half_blue, COLOURS, RED)

    # Scores are 2, 0 and 2, their mean is 4/3.
    assert for_red == pytest.approx(np.array([[2 / 3, -1 / 3], [2 / 3, -1 / 3]]), abs=1e-4)
    assert for_red.sum() == pytest.approx(2 - 4 / 3, abs=1e-4)


def test_what_speaks_for_one_class_speaks_against_another() -> None:
    red_corner = np.zeros((3, 2, 2), np.float32)
    red_corner[RED, 0, 0] = 1

    assert attribution(red_corner, COLOURS, RED)[0, 0] > 0
    assert attribution(red_corner, COLOURS, GREEN)[0, 0] < 0


def test_the_share_of_a_maximum_goes_to_where_it_is() -> None:
    tensors = head_of(np.zeros((3, 2), np.float32))
    # The head looks at the first channel's maximum alone.
    tensors["head.2.weight"] = np.array([[1, 0, 0, 0, 0, 0]] * 3, np.float32)
    tensors["head.6.weight"] = np.array([[3, 0, 0], [0, 0, 0]], np.float32)
    feature_map = np.zeros((3, 1, 4), np.float32)
    feature_map[0, 0] = [1, 2, 0, 2]

    shares = attribution(feature_map, Head.of(tensors), 0)

    # 3 x 2, less the mean of both classes' scores; two equal maxima share.
    assert shares == pytest.approx(np.array([[0, 1.5, 0, 1.5]]), abs=1e-4)


def test_evidence_is_what_speaks_for_the_class_with_the_strongest_at_one() -> None:
    assert evidence(np.array([[4, -3], [1, 0]], np.float32)).tolist() == [[1, 0], [0.25, 0]]


def test_where_nothing_speaks_for_a_class_there_is_no_evidence() -> None:
    assert evidence(np.array([[-4, -3], [-1, 0]], np.float32)).tolist() == [[0, 0], [0, 0]]


def test_another_head_is_refused() -> None:
    with pytest.raises(KeyError):
        Head.of({"head.weight": np.ones((3, 6), np.float32)})
