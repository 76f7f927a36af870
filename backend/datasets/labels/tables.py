"""Tables of people as text: which encoding and which separator; shown, so that nothing is guessed in silence."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import charset_normalizer

from backend.datasets.labels.table_families import merged
from backend.domain.labels.json_tables import JsonLayout, JsonTable
from backend.domain.labels.names import NameIndex
from backend.domain.labels.tables import InvalidTable, Table
from backend.imaging.errors import Refused

DELIMITERS: Final = (",", ";", "\t", "|")
MAX_TABLE_BYTES: Final = 32 << 20
_SAMPLE_LINES: Final = 50
csv.field_size_limit(1 << 20)


@dataclass(frozen=True, slots=True)
class ReadTable:
    """A table and how it was understood.

    Attributes:
        delimiter: between the cells; empty where the file isn't CSV.
        layout: ``csv``, or a ``JsonLayout``.
        files: those that it was read from; several where they belong together.
    """

    table: Table
    delimiter: str
    encoding: str
    layout: str = "csv"
    files: tuple[str, ...] = ()


def read_table(
    file: str, content: bytes, images: NameIndex, *, delimiter: str | None = None, encoding: str | None = None
) -> ReadTable:
    """The table in ``content``; ``images`` tell a header from a row.

    Raises:
        InvalidTable: no table, or not in the encoding that was said.
    """
    if len(content) > MAX_TABLE_BYTES:
        raise InvalidTable(f"{file} is larger than {MAX_TABLE_BYTES >> 20} MB.")
    text, used = _decoded(file, content, encoding)
    text = text.replace("\0", "")
    separator = delimiter or _delimiter(text)
    try:
        table = Table.of(file, csv.reader(io.StringIO(text, newline=""), delimiter=separator), images)
    except csv.Error as error:
        raise InvalidTable(f"{file} can't be read as a table.", advice="Save it as CSV from your program.") from error
    return ReadTable(table, separator, used, files=(file,))


_LAYOUTS: Final = {
    JsonLayout.TELLAPART: "a version that Tellapart exported",
    JsonLayout.COCO: "COCO",
    JsonLayout.LABEL_STUDIO: "Label Studio",
    JsonLayout.FIFTYONE: "FiftyOne",
    JsonLayout.RECORDS: "JSON, an object for each picture",
    JsonLayout.MAP: "JSON, a map from names to labels",
}
_SEPARATORS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def table_words(read: ReadTable) -> str:
    """Which files a table is, as a part of a sentence."""
    if len(read.files) == 1:
        return f"the table {read.table.file}"
    return f"the {len(read.files)} tables {read.table.file}"


def layout_words(read: ReadTable) -> str:
    """How a table's files are laid out, as a part of a sentence."""
    if read.layout in _LAYOUTS:
        return _LAYOUTS[JsonLayout(read.layout)]
    names = "with names of columns" if read.table.has_header else "without names of columns"
    return f"cells parted by {_SEPARATORS.get(read.delimiter, read.delimiter)}, {names}, {read.encoding}"


def of_json(file: str, found: JsonTable | Refused) -> ReadTable:
    """The labels of a JSON file as a table.

    Raises:
        InvalidTable: it was refused.
    """
    if isinstance(found, Refused):
        raise InvalidTable(f"{file} can't be read: {found.reason}.")
    rows = tuple(tuple(cell.strip() for cell in row) for row in found.rows)
    return ReadTable(Table(file, found.columns, rows), "", "utf-8", found.layout, (file,))


def together(pattern: str, tables: Sequence[ReadTable], images: NameIndex) -> ReadTable:
    """Tables that belong together as one. Raises InvalidTable: none of them names pictures."""
    table = merged(pattern, [read.table for read in tables], images)
    files = tuple(read.table.file for read in tables)
    return ReadTable(table, tables[0].delimiter, tables[0].encoding, tables[0].layout, files)


def _decoded(file: str, content: bytes, encoding: str | None) -> tuple[str, str]:
    if encoding:
        try:
            return content.decode(encoding), encoding
        except (LookupError, UnicodeDecodeError) as error:
            raise InvalidTable(f"{file} isn't text in the encoding {encoding[:40]}.") from error
    for name in ("utf-8-sig", "utf-16") if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig",):
        try:
            return content.decode(name), name
        except UnicodeDecodeError:
            continue
    name = _likely_encoding(content[: 1 << 16])
    return content.decode(name, "replace"), name


# Of those that fit equally well, the first: Excel in Europe and America writes cp1252.
_ENCODINGS: Final = ("cp1252", "shift_jis", "gb18030", "cp1251", "big5", "euc_kr")


def _likely_encoding(content: bytes) -> str:
    found = {
        match.encoding: match.chaos for match in charset_normalizer.from_bytes(content, cp_isolation=[*_ENCODINGS])
    }
    return min(_ENCODINGS, key=lambda name: (found.get(name, 1.0), _ENCODINGS.index(name)))


def _delimiter(text: str) -> str:
    """The separator that cuts the first lines into the same number of cells, the more the better."""
    lines = [line for line in text.splitlines()[:_SAMPLE_LINES] if line.strip()]

    def regularity(delimiter: str) -> tuple[int, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        usual = max(set(widths), key=widths.count) if widths else 1
        return (widths.count(usual) if usual > 1 else 0, usual)

    return max(DELIMITERS, key=regularity)
