import numpy as np

from backend.domain.sampling import evenly_spread


def test_few_are_all_taken() -> None:
    assert evenly_spread([1, 2, 3], 3) == [1, 2, 3]


def test_of_many_at_most_so_many_are_taken_at_equal_distances() -> None:
    assert evenly_spread(list(range(10)), 4) == [0, 3, 6, 9]
    assert evenly_spread(np.arange(11), 4).tolist() == [0, 3, 6, 9]


def test_of_none_none_is_taken() -> None:
    assert evenly_spread([], 4) == []
