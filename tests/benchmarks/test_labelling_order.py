import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.labelling_order import AT_ONCE, ORDERS, errors_of, labelling_of


def clear_classes() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features and targets of 200 pictures of 4 classes that hardly overlap."""
    random = np.random.default_rng(0)
    targets = np.arange(200) % 4
    values = np.eye(8, dtype=np.float32)[targets] + 0.1 * random.normal(size=(200, 8)).astype(np.float32)
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32), targets


@pytest.mark.parametrize("name", ORDERS)
def test_every_order_takes_each_picture_that_is_not_held_out_once(name: str) -> None:
    labelling = labelling_of(*clear_classes(), seed=1)
    known = np.empty(0, dtype=np.int64)
    for _ in range(labelling.pool // AT_ONCE):
        known = np.concatenate([known, ORDERS[name](labelling, known)[:AT_ONCE]])

    assert sorted(known.tolist()) == list(range(140))


@pytest.mark.parametrize("name", ORDERS)
def test_clear_classes_are_learnt_from_few_labels_in_any_order(name: str) -> None:
    labelling = labelling_of(*clear_classes(), seed=1)

    assert errors_of(ORDERS[name], labelling, [40]) == [0.0]
