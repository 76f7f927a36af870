"""Labels from a table: which row is meant for which image, and what was left over.

Tables come from people: without a header, with names from Windows, without the
ending, with the same picture twice. What fits is used; what doesn't is counted and shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Self

from backend.domain.errors import InvalidInput
from backend.domain.images import normal


class InvalidTable(InvalidInput):
    """A table can't be read as labels."""

    code = "label-rule-invalid"

    def __init__(self, reason: str, advice: str = "", **details: object) -> None:
        super().__init__(reason, advice=advice, details=details)


class UnknownColumn(InvalidTable):
    """A column was asked for that the table hasn't got."""

    code = "label-column-unknown"

    def __init__(self, file: str, column: str, columns: Sequence[str]) -> None:
        known = ", ".join(columns[:_SHOWN])
        super().__init__(f"{file} has no column called {column}. It has: {known}.", columns=list(columns[:_SHOWN]))


_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it was understood; each row has a cell for each column.

    Attributes:
        file: its name, for people.
        has_header: whether the columns' names stood in the file.
    """

    file: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    has_header: bool = True

    @classmethod
    def of(cls, file: str, lines: Sequence[Sequence[str]], images: Iterable[str]) -> Self:
        """The table in ``lines``; the first one is a header unless it names an image.

        Raises:
            InvalidTable: there is nothing in it.
        """
        filled = [tuple(cell.strip() for cell in line) for line in lines if any(cell.strip() for cell in line)]
        if not filled:
            raise InvalidTable(f"{file} is empty.")
        has_header = _names_of(images).isdisjoint(map(_as_name, filled[0]))
        width = max(map(len, filled))
        header = filled[0] if has_header else ()
        columns = [(header[at] if at < len(header) else "") or f"column {at + 1}" for at in range(width)]
        body = filled[1:] if has_header else filled
        return cls(file, tuple(columns), tuple(row + ("",) * (width - len(row)) for row in body), has_header)

    def column(self, name: str) -> int:
        """Where a column is; capitals don't matter where they needn't.

        Raises:
            UnknownColumn: there is none of that name.
        """
        if name in self.columns:
            return self.columns.index(name)
        folded = [column.casefold() for column in self.columns]
        if folded.count(name.casefold()) == 1:
            return folded.index(name.casefold())
        raise UnknownColumn(self.file, name, self.columns)


def image_column(table: Table, images: Iterable[str]) -> int:
    """The column whose cells are names of images.

    Raises:
        InvalidTable: no column is.
    """
    names = _names_of(images)
    fitting = [sum(_as_name(row[at]) in names for row in table.rows) for at in range(len(table.columns))]
    best = max(range(len(fitting)), key=lambda at: fitting[at])
    if fitting[best] == 0:
        raise InvalidTable(
            f"No column of {table.file} holds the names of your pictures.",
            advice="Check that the names in the table are those of the files.",
            columns=list(table.columns[:_SHOWN]),
        )
    return best


_LABEL_WORDS: Final = ("label", "labels", "class", "classes", "category", "target", "breed", "species", "y")
_SPLIT_WORDS: Final = frozenset({"is_valid", "valid", "split", "fold", "set", "subset"})


def label_column(table: Table, image_at: int) -> int:
    """The column that holds labels: one that is called so, else the next one that repeats itself.

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
            return named[0]
    likely = [at for at in others if folded[at] not in _SPLIT_WORDS] or others
    # The course's tables have the name first and the label next: order decides between equals.
    return min(likely, key=lambda at: (not _repeats(table, at), (at - image_at) % len(table.columns)))


def _repeats(table: Table, at: int) -> bool:
    values = [row[at] for row in table.rows if row[at]]
    return 0 < len(set(values)) <= max(1, len(values) // 2)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Values of a table by image.

    A cell names an image by its path, by the end of its path, by its file name or
    by that without its ending; of several that fit, the longest. What is named
    twice with different values counts as not named at all.

    Attributes:
        by_name: value of each name in the table.
        by_file: value of each name's last part, where that isn't ambiguous.
        conflicts: names that stand in the table with different values.
    """

    by_name: Mapping[str, str]
    by_file: Mapping[str, str]
    conflicts: tuple[str, ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> Self:
        """From (name, value) rows; rows without a value say nothing."""
        names: dict[str, set[str]] = {}
        for name, value in pairs:
            if name and value:
                names.setdefault(_as_name(name), set()).add(value)
        files: dict[str, set[str]] = {}
        for name, values in names.items():
            files.setdefault(name.rpartition("/")[2], set()).update(values)
        return cls(_agreed(names), _agreed(files), tuple(name for name, values in names.items() if len(values) > 1))

    def name_for(self, path: PurePosixPath) -> str | None:
        """The name in the table that means ``path``, or None."""
        parts = path.parts
        ends = ["/".join(parts[at:]) for at in range(len(parts))]
        for end in (*ends, *(end.removesuffix(path.suffix) for end in ends if path.suffix)):
            if end in self.by_name:
                return end
        return None

    def value(self, path: PurePosixPath) -> str | None:
        """What the table says about ``path``."""
        if (name := self.name_for(path)) is not None:
            return self.by_name[name]
        # The table may know folders that the image hasn't got.
        return self.by_file.get(path.name) or self.by_file.get(path.stem)

    def names_without_image(self, paths: Iterable[PurePosixPath]) -> list[str]:
        """Names in the table that mean none of ``paths``."""
        used: set[str] = set()
        files: set[str] = set()
        for path in paths:
            if (name := self.name_for(path)) is not None:
                used.add(name)
            else:
                files |= {path.name, path.stem}
        return [name for name in self.by_name if name not in used and name.rpartition("/")[2] not in files]


def _agreed(values: Mapping[str, set[str]]) -> dict[str, str]:
    return {name: next(iter(found)) for name, found in values.items() if len(found) == 1}


def _as_name(cell: str) -> str:
    """A cell as an image would be called."""
    parts = [part for part in cell.strip().replace("\\", "/").split("/") if part not in ("", ".")]
    return normal("/".join(parts))


def _names_of(images: Iterable[str]) -> set[str]:
    names: set[str] = set()
    for image in images:
        path = PurePosixPath(normal(image))
        names |= {str(path), path.name, path.stem}
    return names
