"""Classes that are mixed up stand side by side."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.likeness import order_by_likeness


def test_it_puts_confused_classes_side_by_side() -> None:
    matrix = np.array(
        [
            [8, 0, 0, 2],
            [0, 9, 1, 0],
            [0, 3, 7, 0],
            [1, 0, 0, 9],
        ]
    )

    assert order_by_likeness(matrix) == [0, 3, 1, 2]


def test_it_keeps_the_order_where_nothing_is_confused() -> None:
    assert order_by_likeness(np.diag([3, 2, 1])) == [0, 1, 2]


def test_a_class_without_images_does_no_harm() -> None:
    assert order_by_likeness(np.array([[2, 1], [0, 0]])) == [0, 1]


@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_it_always_gives_every_class_once(classes: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).integers(0, 4, (classes, classes))

    assert sorted(order_by_likeness(matrix)) == list(range(classes))
