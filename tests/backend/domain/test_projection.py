"""Positions of made-up features on a map."""

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.domain import projection
from backend.domain.projection import neighbour_view, principal_view, strays


def groups(each: int, count: int = 3) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(N, 8) features of so many groups, far apart, and the group of each."""
    targets = np.repeat(np.arange(count), each)
    values = np.random.default_rng(0).normal(0, 0.05, (len(targets), 8))
    values[:, :count] += np.eye(count)[targets]
    return values.astype(np.float32), targets.astype(np.int64)


def test_two_main_directions_keep_what_varies_most() -> None:
    values = np.array([[0, 0, 0], [10, 0, 0.1], [20, 5, 0], [30, 5, 0.1]], dtype=np.float32)

    positions = principal_view(values)

    assert np.ptp(positions[:, 0]) == pytest.approx(2)
    assert np.argsort(positions[:, 0]).tolist() in ([0, 1, 2, 3], [3, 2, 1, 0])
    assert principal_view(values).tolist() == positions.tolist()


def test_a_single_picture_lies_in_the_middle() -> None:
    assert principal_view(np.ones((1, 8), dtype=np.float32)).tolist() == [[0, 0]]


def test_pictures_of_one_group_lie_together() -> None:
    values, targets = groups(30)

    positions = neighbour_view(values)

    assert np.abs(positions).max() == pytest.approx(1)
    assert (strays(positions, targets) == -1).all()


def test_it_reports_how_far_it_is() -> None:
    shares: list[float] = []

    neighbour_view(groups(10)[0], on_progress=shares.append)

    assert len(shares) > 20
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] <= 1


def test_beyond_a_limit_pictures_are_put_among_those_that_they_are_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "ARRANGED", 60)
    values, targets = groups(40)

    assert (strays(neighbour_view(values), targets) == -1).all()


def test_a_picture_among_another_class_is_named_with_that_class() -> None:
    positions = np.array([[x + group * 100, 0] for group in range(2) for x in range(15)], dtype=np.float32)
    targets = np.repeat([0, 1], 15)
    targets[3] = 1

    found = strays(positions, targets)

    assert found[3] == 0
    assert (np.delete(found, 3) == -1).all()


def test_pictures_without_a_label_are_no_ones_neighbours() -> None:
    positions = np.zeros((20, 2), dtype=np.float32)
    targets = np.full(20, -1)
    targets[0] = 2

    assert (strays(positions, targets) == -1).all()


def test_pictures_at_one_place_are_not_their_own_neighbours() -> None:
    targets = np.array([0] * 14 + [1], dtype=np.int64)

    assert strays(np.zeros((15, 2), dtype=np.float32), targets)[14] == 0
