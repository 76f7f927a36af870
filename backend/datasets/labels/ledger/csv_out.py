"""Labels and their changes as CSV, sent while they are written."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.corrections import present_labels
from backend.datasets.labels.repository import CLASS, ChangeFilter, LabelLedger
from backend.db.session import Database
from backend.domain.labels.cells import guarded

LABELS_HEADER: Final = ("path", "label", "left_out", "sha256")
_CHANGES_HEADER: Final = (
    "path", "class", "before", "after", "left_out", "who", "reason", "run_id", "changed_at", "undone_at", "batch_id",
)  # fmt: skip
_ROWS_AT_ONCE: Final = 1_000


def csv_of(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """A CSV file in pieces of a thousand rows; text that spreadsheets would run as a formula is guarded."""
    # Excel takes UTF-8 for the alphabet of the machine unless the file begins with this mark.
    yield b"\xef\xbb\xbf" + _lines([header])
    remaining = iter(rows)
    while some := list(islice(remaining, _ROWS_AT_ONCE)):
        yield _lines([[guarded(cell) for cell in row] for row in some])


def _lines(rows: Iterable[Sequence[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue().encode()


def labels_csv(content: DatasetContent) -> Iterator[bytes]:
    """The labels as they stand: a row for each picture, by path.

    ``sha256`` tells pictures apart that came under one path, and finds them in another dataset.

    Raises:
        InvalidInput: the present rule doesn't fit the dataset any more.
    """
    labels = present_labels(content)
    left_out = {image.id for image in labels.dropped} | {image.id for image in labels.left_out}
    label_of = labels.label_of
    rows = (
        (image.path, label_of.get(image.id, ""), _flag(image.id in left_out), image.digest) for image in content.images
    )
    return csv_of(LABELS_HEADER, rows)


def changes_csv(database: Database, dataset_id: str, chosen: ChangeFilter) -> Iterator[bytes]:
    """The ledger of labels, the newest change first."""
    return csv_of(_CHANGES_HEADER, _change_rows(database, dataset_id, chosen))


def _change_rows(database: Database, dataset_id: str, chosen: ChangeFilter) -> Iterator[Sequence[str]]:
    after: str | None = None
    while True:
        # A page at a time: whoever reads slowly holds no transaction.
        with database.read() as session:
            found = LabelLedger(session).changes(dataset_id, chosen, limit=_ROWS_AT_ONCE, after=after)
        for change, batch in found:
            is_class = change.kind == CLASS
            yield (
                change.path,
                change.key if is_class else "",
                change.before or "",
                change.after or "",
                _flag(change.label is None and not change.is_rule),
                batch.who,
                batch.reason,
                batch.run_id or "",
                batch.created_at.isoformat(),
                batch.undone_at.isoformat() if batch.undone_at else "",
                batch.id,
            )
        if len(found) < _ROWS_AT_ONCE:
            return
        after = found[-1][0].id


def _flag(is_set: bool) -> str:
    return "true" if is_set else ""
