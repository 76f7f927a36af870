"""Imports into a dataset: archives stored by the web process, and whatever is elsewhere; read by a job in another."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from backend.datasets.archives.errors import ArchiveBroken, ArchiveTooLarge, NothingUsable
from backend.datasets.archives.reading import Archive, first_bytes, kind_of
from backend.datasets.blobs import forget_archives, uploaded_file
from backend.datasets.body import limited
from backend.datasets.errors import EmptyUpload, ImportEnded, UploadLost
from backend.datasets.import_queue.queueing import queue_import
from backend.datasets.ingest import IncomingFile, Ingested, ingest
from backend.datasets.repository import DatasetRepository
from backend.datasets.sources.opening import Elsewhere, Opening
from backend.datasets.sources.pace import Pace
from backend.db.session import WriteSession
from backend.domain.errors import AppError
from backend.domain.ids import Digest, ImportId
from backend.domain.json import Json
from backend.imaging.pool import DecodingPool, decoding_pool
from backend.ledger.job import JobState
from backend.ledger.repository import Ledger
from backend.ledger.unit_of_work import OpenUnit
from backend.outbound.errors import Stopped
from backend.storage.base import Storage

MAX_ARCHIVE_BYTES: Final = 50 << 30
BYTES_NOTED_EVERY_S: Final = 1.0
ALIVE_EVERY_S: Final = 30.0
_PLACES: Final = {"links": "list", "folder": "folder", "bucket": "bucket"}
"""What sentences call it, where it is no archive."""


def take_archive(open_unit: OpenUnit, storage: Storage, dataset_id: str, chunks: Iterator[bytes]) -> ImportId:
    """Store an archive's bytes and queue a job that reads it.

    Raises:
        DatasetNotFound, EmptyUpload, NotAnArchive, UploadTooLarge, NoRoom
    """
    with open_unit() as unit:
        DatasetRepository(unit.session).get(dataset_id)
    head, whole = first_bytes(chunks)
    if not head:
        raise EmptyUpload
    kind = kind_of(head)
    digest, size = storage.put_stream(limited(whole, MAX_ARCHIVE_BYTES))
    with open_unit() as unit:
        source = {"kind": "archive", "archive": kind, "digest": digest, "bytes": size}
        import_id = queue_import(unit, dataset_id, source)
    if not storage.has_blob(digest):
        raise UploadLost
    return import_id


def cancel_import(open_unit: OpenUnit, storage: Storage, import_id: str) -> None:
    """Stop an import as soon as its worker sees it; what it has added stays. May be repeated.

    Raises:
        ImportNotFound
        ImportEnded: it has succeeded or failed.
    """
    with open_unit() as unit:
        _, job = DatasetRepository(unit.session).get_import(import_id)
        state = Ledger(unit.session).cancel(job.id)
    if state in (JobState.SUCCEEDED, JobState.FAILED):
        raise ImportEnded(state)
    if state is JobState.CANCELLED:
        forget_archives(open_unit, storage)


class ImportStopped(Exception):
    """The import was asked to stop; what it has done so far is recorded and it can go on after that."""


def run_import(
    open_unit: OpenUnit,
    storage: Storage,
    import_id: str,
    *,
    fence: Callable[[WriteSession], None],
    should_stop: Callable[[], bool] = lambda: False,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
    decoders: DecodingPool | None = None,
    elsewhere: Elsewhere | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Add an import's files to its dataset; after a crash it goes on behind the last batch.

    Args:
        fence: called inside every transaction; raises where another attempt has taken over.
        should_stop: asked before each entry.
        on_progress: called with (entries done, entries in all or 0 where that isn't known) after each batch, and from
            time to time while an archive is downloaded.
        elsewhere: where it may take pictures from besides what was uploaded.
        wait: lets some seconds pass, between tries of a download.

    Raises:
        ImportStopped: ``should_stop`` returned true.
        UploadLost: the archive's bytes are gone.
        InvalidInput, LimitExceeded: the archive can't be read (any further), or holds nothing usable.
        NotFound, Unavailable: it doesn't come from elsewhere.
        NoRoom
    """
    progress = _Progress(open_unit, import_id, fence, on_progress)
    opening = Opening(
        storage,
        elsewhere or Elsewhere(),
        import_id,
        should_stop,
        progress.note_bytes,
        progress.remember,
        progress.alive,
        wait,
    )
    source = progress.source
    # The archive is deleted only after the import has ended, so here it can be missing only by accident.
    if _is_lost(storage, source):
        raise UploadLost

    failures: list[AppError] = []
    try:
        source = opening.brought(source)
    except Stopped as error:
        raise ImportStopped from error
    with opening.files(source) as archive:
        progress.begin(archive)
        ingest(
            open_unit,
            storage,
            decoders or decoding_pool(),
            progress.dataset_id,
            _until(should_stop, archive.files(progress.done), failures, progress.alive),
            import_id=import_id,
            before_commit=progress.record,
        )
    if not failures and should_stop():
        raise ImportStopped
    with open_unit() as unit:
        _check_result(DatasetRepository(unit.session), import_id, source["kind"], failures)


def _is_lost(storage: Storage, source: dict[str, Json]) -> bool:
    if "upload" in source:
        file = uploaded_file(storage, source["upload"])
        return not file.exists() or file.stat().st_size != source["bytes"]
    return "digest" in source and not storage.has_blob(Digest(source["digest"]))


class _Progress:
    """How far an import is, in its row."""

    def __init__(
        self,
        open_unit: OpenUnit,
        import_id: str,
        fence: Callable[[WriteSession], None],
        on_progress: Callable[[int, int], None],
    ) -> None:
        self._open_unit, self._import_id, self._fence, self._on_progress = open_unit, import_id, fence, on_progress
        with open_unit() as unit:
            fence(unit.session)
            row, _ = DatasetRepository(unit.session).get_import(import_id)
            self.dataset_id, self.source, self.done = row.dataset_id, row.source, row.entries_done
        self._pace, self._noted_at = Pace(), -BYTES_NOTED_EVERY_S
        self._name_encoding: Callable[[], str | None] = lambda: None
        self._total, self._alive_at = 0, time.monotonic()

    def remember(self, source: dict[str, Json]) -> None:
        """The source has become this: what was downloaded or listed isn't again."""
        self._write(source=source, bytes_done=source.get("bytes", 0), seconds_left=None)

    def note_bytes(self, done: int, total: int) -> None:
        """So much has been downloaded; written down about once a second."""
        self._pace.note(done)
        if time.monotonic() - self._noted_at < BYTES_NOTED_EVERY_S:
            return
        self._noted_at = time.monotonic()
        left = self._pace.seconds_left(total - done) if total else None
        self._write(bytes_done=done, bytes_total=total, seconds_left=left)
        self._on_progress(0, 0)

    def alive(self) -> None:
        """It isn't stuck: a batch may take long to come from slow servers."""
        if time.monotonic() - self._alive_at > ALIVE_EVERY_S:
            self._alive_at = time.monotonic()
            self._write()

    def begin(self, archive: Archive) -> None:
        """Its files come from now on."""
        self._pace, self._total = Pace(), archive.entries
        self._name_encoding = lambda: archive.name_encoding
        self._pace.note(self.done)
        self._write(entries_total=archive.entries)

    def record(self, session: WriteSession, batch: Ingested, files: int) -> None:
        """A batch of files is about to be committed."""
        self._fence(session)
        self._pace.note(self.done + files)
        DatasetRepository(session).advance_import(
            self._import_id,
            name_encoding=self._name_encoding(),
            seconds_left=self._pace.seconds_left(max(0, self._total - self.done - files)) if self._total else None,
            entries_done=files,
            added=batch.added,
            already_there=batch.already_there,
            ignored=batch.ignored,
            tables=batch.tables,
        )
        self.done += files
        self._on_progress(self.done, self._total)

    def _write(self, **values: Json) -> None:
        with self._open_unit() as unit:
            self._fence(unit.session)
            if values:
                DatasetRepository(unit.session).update_import(self._import_id, **values)


def _check_result(repository: DatasetRepository, import_id: str, kind: str, failures: list[AppError]) -> None:
    row, _ = repository.get_import(import_id)
    kept = row.added + row.already_there
    for failure in failures:
        raise failure.with_kept(kept) if isinstance(failure, ArchiveBroken | ArchiveTooLarge) else failure
    if not kept and not row.tables:
        refused, reason = repository.most_common_rejection(import_id)
        raise NothingUsable(row.entries_done, row.ignored, refused, reason, _PLACES.get(kind, "archive"))


def _until(
    should_stop: Callable[[], bool],
    files: Iterator[IncomingFile],
    failures: list[AppError],
    alive: Callable[[], None],
) -> Iterator[IncomingFile]:
    # Ends instead of raising, so that what was read until then is still recorded.
    try:
        for file in files:
            if should_stop():
                return
            alive()
            yield file
    except AppError as error:
        failures.append(error)
