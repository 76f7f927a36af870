"""The confusion matrix as it is drawn."""

import numpy as np

from backend.interpretation.matrix_view import Colours, Numbers, Order, Row, cell_size, ordered, rows

CLASSES = ("owl", "Cat", "dog")
MATRIX = np.array([[7, 0, 3], [1, 99, 0], [0, 0, 0]])


def _rows(indices: list[int], numbers: Numbers = Numbers.COUNTS) -> list[Row]:
    return rows(CLASSES, MATRIX, indices, numbers, Colours(MATRIX, numbers))


def test_by_name_ignores_capitals() -> None:
    assert ordered(CLASSES, MATRIX, Order.NAME) == [1, 2, 0]


def test_most_mistakes_come_first() -> None:
    assert ordered(CLASSES, MATRIX, Order.MISTAKES) == [0, 1, 2]


def test_a_mistake_is_the_darker_the_more_often_it_was_made() -> None:
    found = _rows([0, 1, 2])

    assert [[cell.level for cell in row.cells] for row in found] == [[0, 0, 2], [1, 0, 0], [0, 0, 0]]
    assert [[cell.text for cell in row.cells] for row in found] == [["7", "", "3"], ["1", "99", ""], ["", "", ""]]


def test_equal_counts_have_equal_colours_however_large_their_rows_are() -> None:
    matrix = np.array([[2, 2, 0], [2, 200, 0], [0, 0, 9]])

    found = rows(CLASSES, matrix, [0, 1], Numbers.COUNTS, Colours(matrix, Numbers.COUNTS))

    assert found[0].cells[1].level == found[1].cells[0].level == 2


def test_where_cells_show_shares_they_decide_the_colour() -> None:
    found = _rows([0, 1], Numbers.SHARES)

    assert [[cell.level for cell in row.cells] for row in found] == [[0, 0], [1, 0]]
    assert _rows([0, 2], Numbers.SHARES)[0].cells[1].level == 4


def test_shares_of_the_column_are_of_what_was_predicted() -> None:
    found = _rows([0, 1, 2], Numbers.COLUMN_SHARES)

    assert [[cell.text for cell in row.cells] for row in found] == [["88", "", "100"], ["12", "100", ""], ["", "", ""]]
    assert found[1].cells[0].words == "actual Cat, predicted owl: 1 picture, 12 % of the column"
    assert found[1].cells[0].level == 3


def test_the_legend_tells_the_counts_of_each_colour() -> None:
    matrix = np.diag([5, 5, 5]) + np.array([[0, 100, 0], [1, 0, 0], [0, 0, 0]])

    assert Colours(matrix, Numbers.COUNTS).legend == [
        (1, "1 to 2"),
        (2, "3 to 5"),
        (3, "6 to 15"),
        (4, "16 to 39"),
        (5, "40 to 100"),
    ]


def test_the_legend_of_shares_tells_percentages() -> None:
    assert Colours(MATRIX, Numbers.SHARES).legend == [
        (1, "0 to 5 %"),
        (2, "5 to 10 %"),
        (3, "10 to 20 %"),
        (4, "20 to 40 %"),
        (5, "40 to 100 %"),
    ]


def test_without_mistakes_there_is_no_legend() -> None:
    assert Colours(np.diag([3, 4]), Numbers.COUNTS).legend == []


def test_small_matrices_have_large_cells() -> None:
    assert [cell_size(classes) for classes in (3, 12, 25, 37)] == ["large", "medium", "small", "tiny"]


def test_shares_are_of_the_row() -> None:
    assert [cell.text for cell in _rows([0], Numbers.SHARES)[0].cells] == ["70"]


def test_a_cell_is_described_in_words() -> None:
    found = _rows([1, 0])

    assert found[0].cells[1].words == "actual Cat, predicted owl: 1 picture"
    assert found[1].cells[0].words == "actual owl, predicted Cat: no pictures"


def test_a_cell_that_shows_a_share_has_it_in_its_words() -> None:
    assert _rows([0], Numbers.SHARES)[0].cells[0].words == "actual owl, predicted owl: 7 pictures, 70 % of the row"
