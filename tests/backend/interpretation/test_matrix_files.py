"""The confusion matrix as a file."""

import numpy as np
from starlette.testclient import TestClient

from backend.interpretation.matrix_files import matrix_csv, matrix_svg
from backend.interpretation.matrix_view import Colours, Numbers, Row, rows
from tests.backend.interpretation.conftest import TriedRun

MATRIX = np.array([[7, 3], [0, 1]])


def drawn(*classes: str) -> list[Row]:
    return rows(classes, MATRIX, [0, 1], Numbers.COUNTS, Colours(MATRIX, Numbers.COUNTS))


def test_the_table_has_a_row_for_each_actual_class() -> None:
    table = b"".join(matrix_csv(drawn("owl", "cat")))

    assert table.decode("utf-8-sig") == "actual \\ predicted,owl,cat\r\nowl,7,3\r\ncat,0,1\r\n"


def test_a_name_that_a_spreadsheet_would_run_is_guarded() -> None:
    assert b"'=1+1,0,1" in b"".join(matrix_csv(drawn("owl", "=1+1")))


def test_the_picture_has_cells_with_pictures_only_and_names_as_text() -> None:
    picture = matrix_svg(drawn("owl", "<b>"), "Confusion matrix").decode()

    assert picture.count("<rect") == 1 + 3
    assert picture.count("&lt;b&gt;</text>") == 2
    assert "<b>" not in picture
    assert "actual owl, predicted &lt;b&gt;: 3 pictures" in picture


def test_it_is_saved_as_a_table_and_as_a_picture(client: TestClient, tried_run: TriedRun) -> None:
    address = f"/api/v1/runs/{tried_run.run_id}/confusion-matrix/export"

    table, picture = (client.get(f"{address}?format={name}") for name in ("csv", "svg"))

    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert ".csv" in table.headers["content-disposition"]
    assert picture.headers["content-type"] == "image/svg+xml"
    assert picture.content.startswith(b"<?xml")
    assert client.get(f"{address}?format=png").status_code == 422
