"""Add files to a dataset. A file that can't be used is listed with the reason and doesn't stop the others."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from backend.datasets.added_files import AddedFiles
from backend.datasets.import_queue.address_lists import MOST_ADDRESSES, addresses_in, keep_addresses, label_in
from backend.datasets.import_queue.examination import want_examination
from backend.datasets.import_queue.queueing import queue_links
from backend.datasets.repository import DatasetRepository, NewImage, Rejection
from backend.datasets.table_files import is_json, is_table, json_layout
from backend.db.session import WriteSession
from backend.domain.ids import Digest
from backend.domain.images import MAX_PATH, as_given, as_text, is_junk, shortened
from backend.imaging.errors import Refused
from backend.imaging.facts import Note
from backend.imaging.limits import Call
from backend.imaging.pool import DecodingPool
from backend.imaging.tasks import ReadImage, read_image
from backend.imaging.thumbnails import GRID, RENDERING, SIZES, VIEW
from backend.ledger.unit_of_work import OpenUnit
from backend.storage.base import Storage
from backend.storage.local import write_file

MAX_FILE_BYTES: Final = 100 << 20
BATCH: Final = 64
"""Files that are stored together, and recorded in one transaction."""
_BATCH_BYTES: Final = 64 << 20
"""Bytes of files from which on a batch gets no more."""
BATCH_S: Final = 2.0
"""Seconds after which it gets no more: what comes slowly is shown as it comes."""
_DECODED_TOGETHER: Final = 32
"""Small pictures that a decoding process gets at once."""


@dataclass(frozen=True, slots=True)
class IncomingFile:
    """A file to be added: the name it was given and its bytes, or why it isn't read at all."""

    path: str
    content: bytes = b""
    refused: Refused | None = None


@dataclass(frozen=True, slots=True)
class Noted:
    """A picture that was taken in, with something worth knowing of it."""

    path: str
    note: Note


@dataclass(slots=True)
class Ingested:
    """What became of the files. ``imports``: ids of those that fetch what lists of addresses lead to."""

    added: int = 0
    already_there: int = 0
    ignored: int = 0
    tables: int = 0
    rejected: list[Rejection] = field(default_factory=list)
    noted: list[Noted] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Image:
    new: NewImage
    content: bytes


@dataclass(frozen=True, slots=True)
class _Table:
    path: str
    digest: Digest
    size: int


@dataclass(frozen=True, slots=True)
class _Links:
    label: str
    addresses: list[str]


@dataclass(frozen=True, slots=True)
class _Ignored:
    pass


_Answer = ReadImage | str | Refused | None
"""Of a decoding process: what a picture is, a JSON file's layout, or why it isn't taken; None where none was asked."""
_Outcome = _Image | _Table | _Links | _Ignored | Rejection
BeforeCommit = Callable[[WriteSession, "Ingested", int], None]
"""Called in each batch's transaction with the counts of the batch and its number of files."""


def _nothing(_session: WriteSession, _batch: "Ingested", _files: int) -> None:
    pass


def ingest(
    open_unit: OpenUnit,
    storage: Storage,
    decoders: DecodingPool,
    dataset_id: str,
    files: Iterable[IncomingFile],
    *,
    import_id: str | None = None,
    before_commit: BeforeCommit = _nothing,
) -> Ingested:
    """Read, store and record ``files``, a batch at a time; safe to repeat.

    Raises:
        DatasetNotFound: there is no such dataset (any more).
        NoRoom: there is no room; what was recorded so far stays.
    """
    with open_unit() as unit:
        DatasetRepository(unit.session).get(dataset_id)
    total = Ingested()
    for outcomes in _stored_batches(storage, decoders, files):
        batch = Ingested()
        lists = [
            (outcome.label, keep_addresses(storage, outcome.addresses, outcome.label))
            for outcome in outcomes
            if isinstance(outcome, _Links)
        ]
        with open_unit() as unit:
            _record(unit.session, dataset_id, outcomes, batch, import_id)
            batch.imports += [queue_links(unit, dataset_id, label, *kept) for label, kept in lists]
            before_commit(unit.session, batch, len(outcomes))
        for outcome in outcomes:
            # A deletion elsewhere may have taken the same bytes away before ours were recorded.
            if isinstance(outcome, _Image) and not storage.has_blob(outcome.new.digest):
                storage.put_bytes(outcome.content)
        _add(total, batch)
    if total.added:
        with open_unit() as unit:
            want_examination(unit, dataset_id)
    return total


def _record(
    session: WriteSession, dataset_id: str, outcomes: list[_Outcome], batch: Ingested, import_id: str | None
) -> None:
    added = AddedFiles(session, DatasetRepository(session).lock(dataset_id))
    images: list[NewImage] = []
    for outcome in outcomes:
        match outcome:
            case _Image(new=new):
                batch.noted += [Noted(new.path, note) for note in new.notes if note.is_remark]
                images.append(new)
            case _Table(path=path, digest=digest, size=size):
                added.add_table(path, digest, size)
                batch.tables += 1
            case Rejection():
                added.add_rejection(outcome, import_id)
                batch.rejected.append(outcome)
            case _Ignored():
                batch.ignored += 1
            case _Links():
                pass  # an import of its own
    batch.added = added.add_images(images)
    batch.already_there = len(images) - batch.added


def _stored_batches(
    storage: Storage, decoders: DecodingPool, files: Iterable[IncomingFile]
) -> Iterator[list[_Outcome]]:
    """What became of the files, in their order, a batch at a time; their bytes are on the disk by then."""
    with ThreadPoolExecutor(1) as thread:
        waiting: Future[list[_Outcome]] | None = None
        for batch in _batches(decoders.run_all(map(_named, files), _call, together=_DECODED_TOGETHER)):
            # While one batch waits for the disk, the next one is read and the one before is recorded.
            before, waiting = waiting, thread.submit(_all_stored, storage, batch)
            if before is not None:
                yield before.result()
        if waiting is not None:
            yield waiting.result()


def _all_stored(storage: Storage, batch: list[tuple[IncomingFile, _Answer]]) -> list[_Outcome]:
    outcomes = [_without_storing(file, answer) for file, answer in batch]
    kept = [file.content for (file, _), outcome in zip(batch, outcomes, strict=True) if outcome is None]
    digests = iter(storage.put_all(kept))
    return [
        _stored(storage, file, answer, next(digests)) if outcome is None else outcome
        for (file, answer), outcome in zip(batch, outcomes, strict=True)
    ]


def _without_storing(file: IncomingFile, answer: _Answer) -> _Outcome | None:
    """What became of a file that isn't kept; None for pictures and tables."""
    if is_junk(file.path):
        return _Ignored()
    if file.refused is not None:
        return _rejection(file.path, file.refused)
    if len(file.content) > MAX_FILE_BYTES:
        return _rejection(file.path, Refused("image-file-too-large", f"larger than {MAX_FILE_BYTES >> 20} MB"))
    if addresses := addresses_in(file.path, file.content):
        return _links(file.path, addresses)
    return _rejection(file.path, answer) if isinstance(answer, Refused) else None


def _stored(storage: Storage, file: IncomingFile, answer: _Answer, digest: Digest) -> _Image | _Table:
    size = len(file.content)
    if not isinstance(answer, ReadImage):
        return _Table(file.path, digest, size)
    write_file(storage.folder("thumbnails", digest[:2]) / thumbnail_name(digest, GRID), answer.thumbnail)
    facts = answer.facts
    new = NewImage(
        file.path, digest, facts.format, facts.width, facts.height, size, facts.notes, measures=answer.measures
    )
    return _Image(new, file.content)


def _links(path: str, addresses: list[str]) -> _Links | Rejection:
    if len(addresses) > MOST_ADDRESSES:
        why = f"it has more than {MOST_ADDRESSES:,} addresses; make several files of it"
        return _rejection(path, Refused("links-too-many", why))
    return _Links(label_in(path), addresses)


def _named(file: IncomingFile) -> IncomingFile:
    path = as_given(file.path)
    refused = file.refused
    if len(path) > MAX_PATH:
        refused = Refused("path-too-long", f"its name with all folders has more than {MAX_PATH:,} characters")
    # A name that is refused is shown as it came.
    return IncomingFile(shortened(as_text(file.path)) if refused else path, file.content, refused)


def _call(file: IncomingFile) -> Call[ReadImage | str] | None:
    """What a decoding process is to do with a file; nothing with one that isn't taken, nor with lists and tables."""
    if is_junk(file.path) or file.refused or len(file.content) > MAX_FILE_BYTES or is_table(file.path, file.content):
        return None
    if addresses_in(file.path, file.content):
        return None
    return (json_layout if is_json(file.path) else read_image), (file.content,)


def thumbnail_name(digest: Digest, side: int) -> str:
    """Name of a small copy's file."""
    assert side in (*SIZES, VIEW)
    return f"{digest}-{side}-{RENDERING}"


def _rejection(path: str, refused: Refused) -> Rejection:
    return Rejection(path, refused.code, refused.sentence)


def _add(total: Ingested, batch: Ingested) -> None:
    total.added += batch.added
    total.already_there += batch.already_there
    total.ignored += batch.ignored
    total.tables += batch.tables
    total.rejected += batch.rejected
    total.noted += batch.noted
    total.imports += batch.imports


def _batches(read: Iterable[tuple[IncomingFile, _Answer]]) -> Iterator[list[tuple[IncomingFile, _Answer]]]:
    batch: list[tuple[IncomingFile, _Answer]] = []
    size, begun = 0, time.monotonic()
    for file, answer in read:
        batch.append((file, answer))
        size += len(file.content)
        if len(batch) == BATCH or size >= _BATCH_BYTES or time.monotonic() - begun > BATCH_S:
            yield batch
            batch, size, begun = [], 0, time.monotonic()
    if batch:
        yield batch
