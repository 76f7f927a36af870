"""Which files that come with pictures are tables of labels."""

import csv
from pathlib import PurePosixPath
from typing import Final

from backend.domain.images import is_item_name
from backend.domain.labels.json_tables import JsonTable, NoJsonTable, read_json_table
from backend.imaging.drawn.tracks import is_track
from backend.imaging.errors import UnreadableImage

_TABLES: Final = frozenset({".csv", ".tsv"})
_MAYBE_TABLES: Final = frozenset({".txt"})
_JSON: Final = frozenset({".json", ".jsonl", ".ndjson"})
_DELIMITERS: Final = (",", ";", "\t", "|", " ")
_PROSE: Final = ("readme", "read me", "license", "licence", "copying", "changelog", "citation", "authors", "notes")
_HEAD: Final = 64 << 10
_LINES: Final = 50
_MOST: Final = 0.9
"""Share of a table's lines that have the same number of cells."""


def is_table(path: str, content: bytes) -> bool:
    """Whether a file can give labels: CSV and TSV files that are text, and text files that are laid out as tables.

    The table of a movement (columns x, y and t) is a picture to be drawn. JSON files are asked by ``json_table``.
    """
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in _TABLES | _MAYBE_TABLES or is_track(content):
        return False
    text = _text(content[:_HEAD])
    return bool(text) and (suffix in _TABLES or _is_laid_out(path, text))


def is_json(path: str) -> bool:
    """Whether a file is called like one of JSON."""
    return PurePosixPath(path).suffix.lower() in _JSON


def json_table(content: bytes) -> JsonTable:
    """The labels in a JSON file; called in a decoding process, since it may take any memory and time.

    Raises:
        UnreadableImage: there are none, and the reason.
    """
    try:
        return read_json_table(content)
    except NoJsonTable as refusal:
        raise UnreadableImage("image-format-unknown", str(refusal)) from None


def json_layout(content: bytes) -> str:
    """In which layout a JSON file holds labels. Raises UnreadableImage as ``json_table`` does."""
    return json_table(content).layout


def _text(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "replace")
    # Only separators and ends of lines matter here; Latin-1 has a letter for every byte.
    return "" if b"\0" in head[:1024] else head.decode("latin-1")


def _is_laid_out(path: str, text: str) -> bool:
    if PurePosixPath(path).stem.casefold().startswith(_PROSE):
        return False
    lines = [line for line in text.splitlines() if line.strip()][:_LINES]
    return any(_fits(list(csv.reader(lines, delimiter=delimiter)), delimiter) for delimiter in _DELIMITERS)


def _fits(rows: list[list[str]], delimiter: str) -> bool:
    """Whether rows have the same number of cells, and their first cells name pictures, or are at least single words."""
    widths = [len(row) for row in rows]
    usual = max(set(widths), key=widths.count) if rows else 0
    if usual < 2 or widths.count(usual) < _MOST * len(rows):
        return False
    first = [row[0].strip() for row in rows if row]
    if any(map(is_item_name, first)):
        return True
    words = sum(" " not in cell for cell in first)
    # Between spaces everything is a word, in sentences too.
    return delimiter != " " and len(rows) > 1 and words >= _MOST * len(first)
