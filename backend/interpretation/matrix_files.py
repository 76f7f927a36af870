"""The confusion matrix as a file: a table for other programs, and a picture for a report."""

from collections.abc import Iterator, Sequence
from typing import Final
from xml.etree import ElementTree

from backend.datasets.labels.ledger.csv_out import csv_of
from backend.interpretation.matrix_view import Row

_CELL: Final = 26
_LETTER: Final = 7
"""About the width of a letter of 12 pixels."""
_LONGEST: Final = 28
_LEVELS: Final = ("#f3f3ef", "#fbe4d2", "#f8cba6", "#f2a468", "#b7500f", "#7c2d06")
_DARK: Final = 4
"""From this level on, what stands in a cell is white."""


def matrix_csv(rows: Sequence[Row]) -> Iterator[bytes]:
    """A row for each actual class, a column for each predicted one; what stands in the cells as on the page."""
    header = ["actual \\ predicted", *(cell.predicted for cell in rows[0].cells)] if rows else []
    return csv_of(header, ([row.actual, *(cell.text or "0" for cell in row.cells)] for row in rows))


def matrix_svg(rows: Sequence[Row], title: str) -> bytes:
    """A picture as on the page in light colours; cells without pictures are not drawn, so large ones stay small."""
    margin = 34 + _LETTER * min(_LONGEST, max((len(row.actual) for row in rows), default=0))
    side = margin + _CELL * len(rows) + 12
    svg = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "width": str(side),
            "height": str(side),
            "viewBox": f"0 0 {side} {side}",
        }
        | {"font-family": "sans-serif", "font-size": "12", "fill": "#1c1f22"},
    )
    ElementTree.SubElement(svg, "title").text = title
    ElementTree.SubElement(svg, "rect", {"width": "100%", "height": "100%", "fill": "#ffffff"})
    _text(svg, margin, 14, "predicted", anchor="start")
    _text(svg, 10, margin - 8, "actual", anchor="start")
    for place, row in enumerate(rows):
        middle = margin + _CELL * place + _CELL // 2
        _text(svg, margin - 6, middle + 4, row.actual, anchor="end")
        _text(svg, middle + 4, margin - 6, row.actual, anchor="start", turned=True)
        for column, cell in enumerate(row.cells):
            if not cell.count and not cell.is_right:
                continue
            x, y = margin + _CELL * column, margin + _CELL * place
            box = {"x": str(x), "y": str(y), "width": str(_CELL - 1), "height": str(_CELL - 1), "rx": "3"}
            drawn = ElementTree.SubElement(svg, "rect", box | {"fill": _LEVELS[cell.level]})
            ElementTree.SubElement(drawn, "title").text = cell.words
            _text(svg, x + _CELL // 2, y + 17, cell.text, anchor="middle", white=cell.level >= _DARK)
    picture: bytes = ElementTree.tostring(svg, encoding="utf-8", xml_declaration=True)
    return picture


def _text(
    svg: ElementTree.Element, x: int, y: int, words: str, *, anchor: str, turned: bool = False, white: bool = False
) -> None:
    shown = words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"
    attributes = {"x": str(x), "y": str(y), "text-anchor": anchor}
    if turned:
        attributes["transform"] = f"rotate(-90 {x} {y})"
    if white:
        attributes["fill"] = "#ffffff"
    ElementTree.SubElement(svg, "text", attributes).text = shown
