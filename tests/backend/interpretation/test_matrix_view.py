"""The confusion matrix as it is drawn."""

import numpy as np

from backend.interpretation.matrix_view import Numbers, Order, ordered, rows

CLASSES = ("owl", "Cat", "dog")
MATRIX = np.array([[7, 0, 3], [1, 99, 0], [0, 0, 0]])


def test_by_name_ignores_capitals() -> None:
    assert ordered(CLASSES, MATRIX, Order.NAME) == [1, 2, 0]


def test_most_mistakes_come_first() -> None:
    assert ordered(CLASSES, MATRIX, Order.MISTAKES) == [0, 1, 2]


def test_a_mistake_is_the_louder_the_larger_its_share_of_the_row() -> None:
    found = rows(CLASSES, MATRIX, [0, 1, 2], Numbers.COUNTS)

    assert [[cell.level for cell in row.cells] for row in found] == [[0, 0, 4], [1, 0, 0], [0, 0, 0]]
    assert [[cell.text for cell in row.cells] for row in found] == [["7", "", "3"], ["1", "99", ""], ["", "", ""]]


def test_shares_are_of_the_row() -> None:
    found = rows(CLASSES, MATRIX, [0], Numbers.SHARES)

    assert [cell.text for cell in found[0].cells] == ["70"]


def test_a_cell_says_what_it_is() -> None:
    found = rows(CLASSES, MATRIX, [1, 0], Numbers.COUNTS)

    assert found[0].cells[1].words == "really Cat, model says owl, 1 picture"
    assert found[1].cells[0].words == "really owl, model says Cat, no pictures"


def test_a_cell_that_shows_a_share_says_it_too() -> None:
    found = rows(CLASSES, MATRIX, [0], Numbers.SHARES)

    assert found[0].cells[0].words == "really owl, model says owl, 7 pictures, 70 %"
