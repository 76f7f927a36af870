"""Several tables that belong together, as one: ``metadata.csv`` in each folder of a split, or a table for each side."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from backend.domain.images import normal
from backend.domain.labels.names import NameIndex
from backend.domain.labels.tables import InvalidTable, Table, image_column
from backend.domain.manifest import FOLDER_WORDS, SIDE_WORDS

SIDE_COLUMN: Final = "split"
"""A column that is added where the tables' own names say which side they are about."""
_SIDES: Final = {word: words[0] for words in FOLDER_WORDS.values() for word in words}


def families(files: Iterable[str]) -> list[str]:
    """Patterns with ``*`` for tables that belong together: of the same name in several folders, else named by sides."""
    known = [*files]
    found = dict.fromkeys(f"*/{file.rpartition('/')[2]}" for file in known if "/" in file)
    found |= dict.fromkeys(pattern for file in known if (pattern := _without_side(file)))
    return [pattern for pattern in found if len(members(pattern, known)) > 1]


def members(pattern: str, files: Iterable[str]) -> list[str]:
    """The files that a pattern with ``*`` means: any text stands for it, folders too."""
    matches = re.compile(".*".join(map(re.escape, pattern.split("*")))).fullmatch
    return [file for file in files if matches(file)]


def merged(pattern: str, tables: Sequence[Table], images: NameIndex) -> Table:
    """One table of all their rows; each row names the picture that its own table means by it.

    Tables without the names of pictures are left out.

    Raises:
        InvalidTable: none has any.
    """
    named: list[tuple[Table, int]] = []
    refusal: InvalidTable | None = None
    for table in tables:
        try:
            named.append((table, image_column(table, images)))
        except InvalidTable as error:
            refusal = error
    if not named:
        raise refusal or InvalidTable(f"No table is called {pattern}.")
    first, at = named[0]
    name = first.columns[at]
    others = dict.fromkeys(column for table, own in named for column in _without(table.columns, own))
    sides = [_side_of(table.file) for table, _ in named]
    adds_side = all(sides) and len(set(sides)) > 1 and not {SIDE_COLUMN, name} & {*map(str.casefold, others)}
    columns = (name, *others, *([SIDE_COLUMN] if adds_side else []))
    rows = [
        (cell, *cells, *([side or ""] if adds_side else []))
        for (table, own), side in zip(named, sides, strict=True)
        for cell, cells in _rows(table, own, list(others), images)
    ]
    return Table(pattern, columns, tuple(rows), all(table.has_header for table, _ in named))


def _rows(
    table: Table, image_at: int, columns: Sequence[str], images: NameIndex
) -> Iterator[tuple[str, tuple[str, ...]]]:
    cells = table.cells(image_at)
    path_of = {row: path for path, rows in images.matched(cells, table.file).rows.items() for row in rows}
    places = [table.columns.index(column) if column in table.columns else None for column in columns]
    folder = table.file.rpartition("/")[0]
    for number, row in enumerate(table.rows):
        name = path_of.get(number) or (f"{folder}/{cells[number]}" if folder and cells[number] else cells[number])
        yield name, tuple("" if at is None else row[at] for at in places)


def _without(columns: Sequence[str], at: int) -> list[str]:
    return [column for place, column in enumerate(columns) if place != at]


_WORD: Final = re.compile(r"[^\W\d_]+")


def _without_side(file: str) -> str | None:
    """A file's path with ``*`` for the word (and the number behind it) that names its side; None without one."""
    folder, slash, name = normal(file).rpartition("/")
    stem, dot, ending = name.rpartition(".")
    for word in _WORD.finditer(stem):
        if word[0].casefold() in _SIDES:
            end = re.compile(r"\d*").match(stem, word.end())
            rest = stem[end.end() if end else word.end() :]
            return f"{folder}{slash}{stem[: word.start()]}*{rest}{dot}{ending}"
    return None


def _side_of(file: str) -> str | None:
    """The side that a table's name, else a folder of it, says it is about."""
    *folders, name = normal(file).casefold().split("/")
    for text in (name.rpartition(".")[0], *reversed(folders)):
        found = {_SIDES[word] for word in _WORD.findall(text) if word in _SIDES}
        if len(found) == 1:
            side = found.pop()
            assert side in SIDE_WORDS, "sides of folders are sides of cells too"
            return side
    return None
