"""Shares of a batch, and what one process makes of the methods of several."""

import torch

from worker.engine.parallel.ranks import ALONE, Share, part_of


def test_a_batch_is_cut_into_stretches_of_nearly_equal_length() -> None:
    assert [part_of(list(range(10)), rank, 3) for rank in range(3)] == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert [part_of(range(1), rank, 2) for rank in range(2)] == [range(0, 1), range(1, 1)]


def test_a_share_knows_its_rows_in_the_batch() -> None:
    share = Share((4, 3, 3), 1)

    assert (share.total, share.largest, share.rows) == (10, 4, slice(4, 7))
    # The mean over three processes of sums divided by it is the mean over all ten rows.
    assert share.divisor == 10 / 3


def test_parts_of_a_share_are_cut_as_torch_cuts_tensors() -> None:
    share = Share((5, 4), 1)

    parts = [share.part(number, 2) for number in range(2)]

    assert [part.counts for part in parts] == [(3, 2), (2, 2)]
    assert [len(part) for part in torch.arange(5).tensor_split(2)] == [3, 2]
    assert [part.rows for part in parts] == [slice(3, 5), slice(2, 4)]


def test_one_process_decides_and_has_everything_by_itself() -> None:
    rows = torch.ones(2, 3)

    assert ALONE.part_of(range(7)) == range(7)
    assert ALONE.numbers(lambda: (1, 2)) == [(1, 2)]
    assert ALONE.gather(lambda: "mine") == ["mine"]
    assert ALONE.from_first(lambda: "made") == "made"
    assert ALONE.concatenated(rows) is rows
    assert ALONE.mean(rows) is rows
    assert (ALONE.any(True), ALONE.first_says(False)) == (True, False)
