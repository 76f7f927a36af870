"""Labels from a table: which columns hold names and labels, what they say, and what was left over.

Tables come from people: without a header, with names from Windows, without the
ending, with the same picture twice, with one column for each class. What fits
is used; what doesn't is counted and shown.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from backend.domain.errors import InvalidInput
from backend.domain.images import normal
from backend.domain.labels.names import NameIndex, RowMatch


class InvalidTable(InvalidInput):
    """A table can't be read as labels."""

    code = "label-rule-invalid"

    def __init__(self, reason: str, advice: str = "", **details: object) -> None:
        super().__init__(reason, advice=advice, details=details)


class UnknownColumn(InvalidTable):
    """A column was asked for that the table hasn't got."""

    code = "label-column-unknown"

    def __init__(self, file: str, column: str, columns: Sequence[str]) -> None:
        self.column = column
        known = ", ".join(columns[:_SHOWN])
        super().__init__(f"{file} has no column called {column}. It has: {known}.", columns=list(columns[:_SHOWN]))


class NoTable(InvalidTable):
    """A rule or split needs a table, and none is among the files."""

    def __init__(self) -> None:
        super().__init__("There is no table among the files.", advice="Add one as .csv, .tsv or .txt.")


_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it was understood; each row has a cell for each column.

    Attributes:
        file: its path, for people; its folders decide which of equally named pictures are meant.
        has_header: whether the columns' names stood in the file.
    """

    file: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    has_header: bool = True

    @classmethod
    def of(cls, file: str, lines: Iterable[Sequence[str]], images: NameIndex) -> Self:
        """The table in ``lines``; the first one is a header unless it names an image where the others do.

        Raises:
            InvalidTable: there is nothing in it.
        """
        filled = [row for line in lines if any(row := tuple(map(str.strip, line)))]
        if not filled:
            raise InvalidTable(f"{file} is empty.")
        width = max(map(len, filled))
        even = [row + ("",) * (width - len(row)) for row in filled]
        has_header = not _names_an_image(even, images)
        header = even[0] if has_header else ()
        columns = [(header[at] if header else "") or f"column {at + 1}" for at in range(width)]
        return cls(file, tuple(columns), tuple(even[1:] if has_header else even), has_header)

    def column(self, name: str) -> int:
        """Index of a column; capitals don't matter where they needn't.

        Raises:
            UnknownColumn: there is none of that name.
        """
        if name in self.columns:
            return self.columns.index(name)
        folded = [column.casefold() for column in self.columns]
        if folded.count(name.casefold()) == 1:
            return folded.index(name.casefold())
        raise UnknownColumn(self.file, name, self.columns)

    def cells(self, at: int) -> list[str]:
        """The cells of one column."""
        return [row[at] for row in self.rows]


def _names_an_image(rows: Sequence[tuple[str, ...]], images: NameIndex) -> bool:
    """Whether the first row's cell in the column of names is a name too."""
    body = rows[1:] or rows
    names_at = max(range(len(rows[0])), key=lambda at: _hits([row[at] for row in body], images))
    return images.find(rows[0][names_at]) is not None


def _hits(cells: Sequence[str], images: NameIndex) -> tuple[int, int]:
    """How many different pictures a sample of cells names, and how strictly.

    Different ones, because a column of labels 0 to 9 also names ``0.jpg`` to ``9.jpg``, again and again.
    """
    step = max(1, len(cells) // _SAMPLE)
    sample = dict.fromkeys(cell for cell in cells[::step] if cell)
    found = [match for match in map(images.find, sample) if match]
    different = {path for match in found for path in match.paths[:1]}
    return len(different), -sum(match.closeness.fit for match in found)


_SAMPLE: Final = 1_000
NAME_WORDS: Final = frozenset(
    {
        "image",
        "images",
        "image_id",
        "image_name",
        "imageid",
        "img",
        "file",
        "files",
        "filename",
        "file_name",
        "fname",
        "name",
        "path",
        "filepath",
        "file_path",
        "picture",
        "photo",
        "audio",
        "sound",
        "recording",
        "slice_file_name",
        "id",
    }
)


def image_column(table: Table, images: NameIndex) -> int:
    """The column whose cells are names of images.

    Raises:
        InvalidTable: no column is; it shows one name of each side.
    """
    hits = {at: _hits(table.cells(at), images) for at in range(len(table.columns))}
    best = max(hits, key=lambda at: (hits[at][0], table.columns[at].casefold() in NAME_WORDS, hits[at][1]))
    if hits[best][0] == 0:
        raise _no_names(table, images)
    return best


def _no_names(table: Table, images: NameIndex) -> InvalidTable:
    named = [at for at, column in enumerate(table.columns) if column.casefold() in NAME_WORDS]
    written = next((cell for cell in table.cells(named[0] if named else 0) if cell), "")
    picture = next(iter(images.image_of), "")
    reason = f"No column of {table.file} holds the names of your pictures."
    advice = (
        f"The table has “{written[:80]}”, and a picture is called “{picture[-80:]}”. Give both the same names."
        if written and picture
        else "Check that the names in the table are those of the files."
    )
    return InvalidTable(reason, advice=advice, columns=list(table.columns[:_SHOWN]), cell=written, picture=picture)


_LABEL_WORDS: Final = (
    "label",
    "labels",
    "class",
    "classes",
    "class_name",
    "label_name",
    "category",
    "category_name",
    "choice",
    "choices",
    "target",
    "breed",
    "species",
    "y",
)
_SPLIT_WORDS: Final = frozenset({"is_valid", "valid", "split", "fold", "set", "subset", "partition", "phase"})


@dataclass(frozen=True, slots=True)
class OneColumn:
    """Labels are the cells of one column."""

    at: int

    @property
    def indices(self) -> tuple[int, ...]:
        """The columns that are read."""
        return (self.at,)

    def label(self, row: Sequence[str]) -> str | None:
        """The cell, or None where it is empty."""
        return row[self.at] or None

    def has_several(self, row: Sequence[str]) -> bool:
        """Never: a cell is one label."""
        return False


@dataclass(frozen=True, slots=True)
class ColumnPerClass:
    """Labels are the names of columns (one-hot): each row has a 1 in the column of its class and 0 in the others."""

    columns: Mapping[int, str]

    @property
    def indices(self) -> tuple[int, ...]:
        """The columns that are read."""
        return tuple(self.columns)

    def label(self, row: Sequence[str]) -> str | None:
        """The class of the only 1, or None where there is none or several."""
        chosen = [name for at, name in self.columns.items() if _is_one(row[at])]
        return chosen[0] if len(chosen) == 1 else None

    def has_several(self, row: Sequence[str]) -> bool:
        """Whether a row has more than one 1."""
        return sum(_is_one(row[at]) for at in self.columns) > 1


LabelColumns = OneColumn | ColumnPerClass


def label_columns(table: Table, image_at: int) -> LabelColumns:
    """Where the labels stand: a column that is called so, one 0/1 column for each class, or one that repeats itself.

    Raises:
        InvalidTable: there is no other column than the image's.
    """
    others = [at for at in range(len(table.columns)) if at != image_at]
    if not others:
        raise InvalidTable(
            f"{table.file} has only one column.", advice="A second one is needed, with the label of each picture."
        )
    folded = {at: table.columns[at].casefold() for at in others}
    for word in _LABEL_WORDS:
        if named := [at for at in others if folded[at] == word]:
            return OneColumn(named[0])
    likely = [at for at in others if folded[at] not in _SPLIT_WORDS] or others
    flags = [at for at in likely if table.has_header and _is_flag(table, at)]
    wordy = [at for at in likely if at not in flags and _repeats(table, at)]
    if len(flags) > 1 and (not wordy or _share_with_one(table, flags) >= _NEARLY_ALL):
        return ColumnPerClass({at: table.columns[at] for at in flags})
    # The course's tables have the name first and the label next: order decides between equals.
    return OneColumn(min(likely, key=lambda at: (not _repeats(table, at), (at - image_at) % len(table.columns))))


_NEARLY_ALL: Final = 0.9


def _share_with_one(table: Table, flags: Sequence[int]) -> float:
    """Share of rows with exactly one 1 among the columns ``flags``."""
    return sum(sum(_is_one(row[at]) for at in flags) == 1 for row in table.rows) / max(1, len(table.rows))


def _is_flag(table: Table, at: int) -> bool:
    """Whether all cells of a column are 0 or 1."""
    values = set(table.cells(at))
    return values != {""} and all(_is_one(value) or _is_zero(value) for value in values)


def _is_one(cell: str) -> bool:
    return cell.casefold() in ("1", "1.0", "true", "yes", "x")


def _is_zero(cell: str) -> bool:
    return cell.casefold() in ("0", "0.0", "false", "no", "")


def _repeats(table: Table, at: int) -> bool:
    values = [row[at] for row in table.rows if row[at]]
    return 0 < len(set(values)) <= max(1, len(values) // 2)


_SEPARATORS: Final = ("|", ";", ",", " ")


def joined_labels(values: Iterable[str]) -> str | None:
    """A cell that seems to hold several labels, or None.

    Cells do so if most words between the separators come back in other cells, in other company: of “haze primary”
    and “clear primary” all do, of “Maine Coon” and “Persian” none.
    """
    distinct = [value for value in Counter(values) if value]
    for separator in _SEPARATORS:
        joined = {value: parts for value in distinct if len(parts := _pieces(value, separator)) > 1}
        used = Counter(piece for value in distinct for piece in set(_pieces(value, separator)))
        pieces = {piece for parts in joined.values() for piece in parts}
        repeated = sum(used[piece] > 1 for piece in pieces)
        if len(joined) > 1 and repeated >= _REPEATED * len(pieces):
            return next(iter(joined))
    return None


_REPEATED: Final = 0.8


def _pieces(value: str, separator: str) -> list[str]:
    return [piece for piece in (part.strip() for part in value.split(separator)) if piece]


@dataclass(frozen=True, slots=True)
class Lookup:
    """Values of a table by the path of a picture.

    Attributes:
        by_path: value of each path that has one.
        match: which rows mean which pictures.
        conflicts: names that the table has with different values; their pictures have none.
    """

    by_path: Mapping[str, str]
    match: RowMatch
    conflicts: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Sequence[str], values: Sequence[str | None], images: NameIndex, file: str = "") -> Self:
        """From a column of names and the values beside them; rows without a value say nothing."""
        cells = [name if value else "" for name, value in zip(names, values, strict=True)]
        match = images.matched(cells, file)
        by_path: dict[str, str] = {}
        conflicts: dict[str, None] = {}
        for path, rows in match.rows.items():
            value = values[rows[0]]
            if len(rows) > 1 and any(values[row] != value for row in rows):
                conflicts[names[rows[0]]] = None
            elif value:
                by_path[normal(path)] = value
        return cls(by_path, match, tuple(conflicts))
