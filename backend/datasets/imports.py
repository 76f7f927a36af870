"""Imports of archives and samples into a dataset: stored by the web process, read by a job in another."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

from backend.datasets.archives.errors import ArchiveBroken, ArchiveTooLarge, NothingUsable
from backend.datasets.archives.reading import Archive, first_bytes, kind_of, open_archive
from backend.datasets.blobs import forget_archives
from backend.datasets.body import limited
from backend.datasets.errors import EmptyUpload, ImportEnded, UploadLost
from backend.datasets.ingest import IncomingFile, Ingested, ingest
from backend.datasets.repository import DatasetRepository
from backend.datasets.samples import Sample, find_sample
from backend.db.session import WriteSession
from backend.domain.errors import AppError
from backend.domain.ids import Digest, ImportId, new_id
from backend.imaging.pool import DecodingPool, decoding_pool
from backend.ledger.job import JobKind, JobState
from backend.ledger.repository import Ledger
from backend.ledger.unit_of_work import OpenUnit, UnitOfWork
from backend.storage.base import Storage
from backend.tables.datasets import ImportRow

MAX_ARCHIVE_BYTES: Final = 50 << 30
_UPLOADS: Final = "uploads"


def uploaded_file(storage: Storage, upload_id: str) -> Path:
    """Where a resumable upload's bytes lie. An archive is read from there, without being copied or renamed."""
    return storage.folder(_UPLOADS, upload_id) / "part"


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
        import_id = begin_import(unit, dataset_id, source)
    if not storage.has_blob(digest):
        raise UploadLost
    return import_id


def take_sample(unit: UnitOfWork, dataset_id: str, name: str) -> ImportId:
    """Queue a job that adds a sample's pictures.

    Raises:
        DatasetNotFound, SampleNotFound, SampleNotInstalled
    """
    sample = find_sample(name)
    return begin_import(unit, dataset_id, {"kind": "sample", "name": sample.name}, entries_total=sample.images)


def begin_import(unit: UnitOfWork, dataset_id: str, source: dict[str, Any], entries_total: int = 0) -> ImportId:
    """Queue an import of what ``source`` describes (as in ``ImportRow``; Any: JSON values). Raises DatasetNotFound."""
    repository = DatasetRepository(unit.session)
    repository.lock(dataset_id)
    import_id = ImportId(new_id())
    job_id = unit.enqueue(JobKind.IMPORT, import_id)
    repository.add_import(
        ImportRow(id=import_id, dataset_id=dataset_id, job_id=job_id, source=source, entries_total=entries_total)
    )
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
) -> None:
    """Add an import's files to its dataset; after a crash it goes on behind the last batch.

    Args:
        fence: called inside every transaction; raises where another attempt has taken over.
        should_stop: asked before each entry.
        on_progress: called with (entries done, entries in all or 0 where that isn't known) after each batch.

    Raises:
        ImportStopped: ``should_stop`` returned true.
        UploadLost: the archive's bytes are gone.
        InvalidInput, LimitExceeded: the archive can't be read (any further), or holds nothing usable.
        NoRoom
    """
    with open_unit() as unit:
        fence(unit.session)
        row, _ = DatasetRepository(unit.session).get_import(import_id)
        dataset_id, source, done = row.dataset_id, row.source, row.entries_done
    # The archive is deleted only after the import has ended, so here it can be missing only by accident.
    if _is_lost(storage, source):
        raise UploadLost

    failures: list[AppError] = []
    with _opened(storage, source) as archive:

        def record(session: WriteSession, batch: Ingested, files: int) -> None:
            nonlocal done
            fence(session)
            DatasetRepository(session).advance_import(
                import_id,
                name_encoding=archive.name_encoding,
                entries_done=files,
                added=batch.added,
                already_there=batch.already_there,
                ignored=batch.ignored,
                tables=batch.tables,
            )
            done += files
            on_progress(done, archive.entries)

        with open_unit() as unit:
            fence(unit.session)
            DatasetRepository(unit.session).set_import_total(import_id, archive.entries)
        files = _until(should_stop, archive.files(done), failures)
        ingest(
            open_unit,
            storage,
            decoders or decoding_pool(),
            dataset_id,
            files,
            import_id=import_id,
            before_commit=record,
        )
    if not failures and should_stop():
        raise ImportStopped
    with open_unit() as unit:
        _check_result(DatasetRepository(unit.session), import_id, failures)


def _is_lost(storage: Storage, source: dict[str, Any]) -> bool:  # Any: JSON values
    if "upload" in source:
        file = uploaded_file(storage, source["upload"])
        return not file.exists() or file.stat().st_size != source["bytes"]
    return "digest" in source and not storage.has_blob(Digest(source["digest"]))


def _check_result(repository: DatasetRepository, import_id: str, failures: list[AppError]) -> None:
    row, _ = repository.get_import(import_id)
    kept = row.added + row.already_there
    for failure in failures:
        raise failure.with_kept(kept) if isinstance(failure, ArchiveBroken | ArchiveTooLarge) else failure
    if not kept and not row.tables:
        refused, reason = repository.most_common_rejection(import_id)
        raise NothingUsable(row.entries_done, row.ignored, refused, reason)


def _until(
    should_stop: Callable[[], bool], files: Iterator[IncomingFile], failures: list[AppError]
) -> Iterator[IncomingFile]:
    # Ends instead of raising, so that what was read until then is still recorded.
    try:
        for file in files:
            if should_stop():
                return
            yield file
    except AppError as error:
        failures.append(error)


@contextmanager
def _opened(storage: Storage, source: dict[str, Any]) -> Iterator[Archive]:  # Any: JSON values
    """The files of an import, wherever they come from."""
    if source["kind"] == "sample":
        yield _SampleFiles(find_sample(source["name"]))
        return
    with (
        uploaded_file(storage, source["upload"]).open("rb")
        if "upload" in source
        else storage.open_blob(Digest(source["digest"]))
    ) as file:
        yield open_archive(file, source["archive"], source["bytes"])


class _SampleFiles:
    """A sample's pictures, which are drawn and not unpacked."""

    name_encoding = None

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self.entries = sample.images

    def files(self, skip: int) -> Iterator[IncomingFile]:
        """The pictures after the first ``skip``."""
        yield from islice(self._sample.files(), skip, None)
