"""Take labels from a CSV: all of them in one action, with a report of what fits nothing on either side."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.corrections import corrected, labels_by_rule
from backend.datasets.labels.ledger.changes import Done, Wish, change_labels
from backend.datasets.labels.ledger.csv_out import LABELS_HEADER, csv_of
from backend.datasets.labels.repository import Author
from backend.datasets.labels.tables import read_table
from backend.datasets.repository import ImageNames
from backend.db.session import Database
from backend.domain.images import normal
from backend.domain.labels.cells import unguarded
from backend.domain.labels.rules import ByTable, CsvRule, clean_label
from backend.domain.labels.tables import InvalidTable, Table
from backend.storage.base import Storage


@dataclass(frozen=True, slots=True)
class TableLabels:
    """What a table says about a dataset's pictures.

    Attributes:
        labels: label of each picture that the table has, by its id; None leaves it out.
        unlabelled: pictures of which the table says that they have no label.
        rows: rows of the table.
        without_image: names in the table that mean no picture.
        ambiguous: names that fit several pictures.
        contradictory: names that have different labels.
        without_row: pictures that no row means.
    """

    labels: Mapping[str, str | None]
    rows: int
    without_image: Sequence[str]
    ambiguous: Sequence[str]
    contradictory: Sequence[str]
    without_row: Sequence[ImageNames]
    unlabelled: frozenset[str] = frozenset()

    def problems(self) -> Iterator[tuple[str, str]]:
        """Each name that fits nothing, with the reason in words."""
        yield from ((name, "no picture of this name") for name in self.without_image)
        yield from ((name, "fits several pictures") for name in self.ambiguous)
        yield from ((name, "has different labels") for name in self.contradictory)
        yield from ((image.path, "no row for this picture") for image in self.without_row)


def read_labels(content: DatasetContent, name: str, table: bytes) -> TableLabels:
    """What the table ``table``, a file called ``name``, says.

    Raises:
        InvalidTable: it is no table, or has no column of names or of labels.
        LabelTooLong
    """
    read = read_table(name, table, content.names.index).table
    ours = _our_own(read)
    found = _of_our_own(content, ours) if ours else _of_another(content, read)
    named = {*found.labels} | found.unlabelled
    return replace(found, without_row=[image for image in content.images if image.id not in named])


def take_labels(
    database: Database, storage: Storage, dataset_id: str, name: str, table: bytes, author: Author
) -> tuple[TableLabels, Done]:
    """Give pictures the labels of a table, all in one action, or none where something is wrong with it.

    Raises:
        As ``read_labels`` and ``change_labels``.
    """
    with database.read() as session:
        content = DatasetContent.of(session, storage, dataset_id)
        found = read_labels(content, name, table)
        wishes = [*_wishes(content, found)]
    return found, change_labels(database, storage, dataset_id, wishes, author)


def stored_table(content: DatasetContent, path: str) -> bytes:
    """The bytes of a table that came with the pictures. Raises InvalidTable: there is none of that name."""
    row = next((row for row in content.tables if row.path == path), None)
    if row is None:
        names = [row.path for row in content.tables[:20]]
        advice = f"There are: {', '.join(names)}." if names else "Send the table as the body of the request."
        raise InvalidTable(f"There is no table called {path[:200]} among the files.", advice=advice, files=names)
    return content.content_of(row)


def report_csv(found: TableLabels) -> Iterator[bytes]:
    """What fits nothing, as CSV."""
    return csv_of(("name", "problem"), found.problems())


def _wishes(content: DatasetContent, found: TableLabels) -> Iterator[Wish]:
    """What has to change so that the pictures have the table's labels; what is so already is left alone."""
    yield from (Wish(image_id, label) for image_id, label in found.labels.items() if label is not None)
    empty = {image_id for image_id, label in found.labels.items() if label is None}
    if not (empty or found.unlabelled):
        return
    by_rule = labels_by_rule(content)
    present = corrected(content, by_rule.labelled)
    dropped = {image.id for image in present.dropped}
    gone = dropped | {image.id for image in present.left_out}
    yield from (Wish(image_id, None) for image_id in empty if image_id not in gone)
    for image_id in found.unlabelled:
        if image_id in dropped or image_id in present.label_of:
            # Without a label of the rule, following it again is what “no label” means.
            yield Wish(image_id, None, to_rule=image_id not in by_rule.label_of)


def _our_own(table: Table) -> Table | None:
    """A table that ``labels_csv`` wrote, or None."""
    if {*LABELS_HEADER} <= {*table.columns}:
        return table
    # Its header was taken for a row where a picture is called “path”.
    if not table.has_header and table.rows[0] == LABELS_HEADER:
        return Table(table.file, LABELS_HEADER, table.rows[1:])
    return None


def _of_our_own(content: DatasetContent, table: Table) -> TableLabels:
    """A file that ``labels_csv`` wrote: pictures are known by their bytes, then by their path."""
    path_at, label_at, left_out_at, sha256_at = (table.column(name) for name in LABELS_HEADER)
    by_digest = {str(image.digest): image for image in content.images}
    by_path: dict[str, list[ImageNames]] = {}
    for image in content.images:
        for path in image.paths:
            by_path.setdefault(normal(path), []).append(image)
    labels: dict[str, str | None] = {}
    unlabelled: set[str] = set()
    without_image: list[str] = []
    ambiguous: list[str] = []
    contradictory: dict[str, str] = {}
    for row in table.rows:
        path = unguarded(row[path_at])
        mine = by_digest.get(row[sha256_at])
        fitting = [mine] if mine else by_path.get(normal(path), [])
        if len(fitting) != 1:
            (ambiguous if fitting else without_image).append(path)
            continue
        label = None if row[left_out_at] == "true" else clean_label(unguarded(row[label_at]))
        if label is None and row[left_out_at] != "true":
            unlabelled.add(fitting[0].id)
        elif labels.setdefault(fitting[0].id, label) != label:
            contradictory[fitting[0].id] = path
    kept = {image_id: label for image_id, label in labels.items() if image_id not in contradictory}
    again = [*contradictory.values()]
    return TableLabels(kept, len(table.rows), without_image, ambiguous, again, (), frozenset(unlabelled - kept.keys()))


def _of_another(content: DatasetContent, table: Table) -> TableLabels:
    """Anybody's table: names are matched as those of a rule; an empty cell says nothing about its picture."""
    plain = Table(table.file, table.columns, tuple(tuple(map(unguarded, row)) for row in table.rows), table.has_header)
    lookup = ByTable.parse(CsvRule(), plain, content.names.index).lookup
    labels: dict[str, str | None] = {}
    for image in content.images:
        given = next((label for path in image.paths if (label := lookup.by_path.get(normal(path)))), None)
        if (cleaned := clean_label(given)) is not None:
            labels[image.id] = cleaned
    return TableLabels(
        labels,
        len(table.rows),
        lookup.match.unmatched,
        [found.name for found in lookup.match.ambiguous],
        lookup.conflicts,
        (),
    )
