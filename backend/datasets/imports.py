"""Archives and samples on their way into a dataset: taken at the door, read by a job in another process."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from backend.datasets.archives import count_entries, entries, first_bytes, kind_of
from backend.datasets.blobs import forget_blobs
from backend.datasets.body import limited
from backend.datasets.errors import EmptyUpload, UploadLost
from backend.datasets.ingest import IncomingFile, Ingested, ingest
from backend.datasets.repository import DatasetRepository
from backend.datasets.samples import find_sample
from backend.db.session import WriteSession
from backend.domain.errors import AppError
from backend.domain.ids import Digest, ImportId, new_id
from backend.imaging.pool import DecodingPool, decoding_pool
from backend.ledger.job import JobKind
from backend.ledger.unit_of_work import OpenUnit, UnitOfWork
from backend.storage.base import Storage
from backend.tables.datasets import ImportRow

MAX_ARCHIVE_BYTES: Final = 50 << 30


def take_archive(open_unit: OpenUnit, storage: Storage, dataset_id: str, chunks: Iterator[bytes]) -> ImportId:
    """Keep an archive's bytes and ask for a job that reads it.

    Raises:
        DatasetNotFound, EmptyUpload, NotAnArchive, UploadTooLarge, DiskFull
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
        import_id = _begin(unit, dataset_id, source)
    if not storage.has_blob(digest):
        raise UploadLost
    return import_id


def take_sample(unit: UnitOfWork, dataset_id: str, name: str) -> ImportId:
    """Ask for a job that brings a sample.

    Raises:
        DatasetNotFound, SampleNotFound, SampleNotAtHand
    """
    sample = find_sample(name)
    return _begin(unit, dataset_id, {"kind": "sample", "name": sample.name}, entries_total=sample.images)


def _begin(unit: UnitOfWork, dataset_id: str, source: dict[str, Any], entries_total: int = 0) -> ImportId:
    repository = DatasetRepository(unit.session)
    repository.lock(dataset_id)
    import_id = ImportId(new_id())
    job_id = unit.enqueue(JobKind.IMPORT, import_id)
    repository.add_import(
        ImportRow(id=import_id, dataset_id=dataset_id, job_id=job_id, source=source, entries_total=entries_total)
    )
    return import_id


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
    """Bring an import's files into its dataset; after a crash it goes on behind the last batch.

    Args:
        fence: called inside every transaction; raises where another attempt has taken over.
        should_stop: asked before each entry.
        on_progress: told (entries done, entries in all or 0 where that isn't known) after each batch.

    Raises:
        ImportStopped: ``should_stop`` said so.
        InvalidInput, LimitExceeded: the archive can't be read (any further).
        DiskFull
    """
    with open_unit() as unit:
        fence(unit.session)
        row, _ = DatasetRepository(unit.session).get_import(import_id)
        dataset_id, source, done, total = row.dataset_id, row.source, row.entries_done, row.entries_total

    if "digest" in source and not storage.has_blob(Digest(source["digest"])):
        if not done:
            raise UploadLost
        # Another attempt read it to its end and then died.
        return

    def record(session: WriteSession, batch: Ingested, files: int) -> None:
        nonlocal done
        fence(session)
        DatasetRepository(session).advance_import(
            import_id, entries_done=files, added=batch.added, already_there=batch.already_there, ignored=batch.ignored
        )
        done += files
        on_progress(done, total)

    broken: list[AppError] = []
    with _Source(storage, source) as files:
        if not total:
            total = files.count()
            with open_unit() as unit:
                fence(unit.session)
                DatasetRepository(unit.session).set_import_total(import_id, total)
        ingest(
            open_unit,
            storage,
            decoders or decoding_pool(),
            dataset_id,
            _until(should_stop, files.after(done), broken),
            import_id=import_id,
            before_commit=record,
        )
    if broken:
        raise broken[0]
    if should_stop():
        raise ImportStopped
    if "digest" in source:
        forget_blobs(open_unit, storage, [Digest(source["digest"])], except_import=import_id)


def _until(
    should_stop: Callable[[], bool], files: Iterator[IncomingFile], broken: list[AppError]
) -> Iterator[IncomingFile]:
    # Ends instead of raising, so that what was read until then is still recorded.
    try:
        for file in files:
            if should_stop():
                return
            yield file
    except AppError as error:
        broken.append(error)


class _Source:
    """The files of an import, wherever they come from."""

    def __init__(self, storage: Storage, source: dict[str, Any]) -> None:
        self._source = source
        self._file = storage.open_blob(Digest(source["digest"])) if source["kind"] == "archive" else None

    def __enter__(self) -> "_Source":
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def count(self) -> int:
        """How many entries there are, or 0 where only reading tells."""
        return count_entries(self._file, self._source["archive"]) if self._file else 0

    def after(self, done: int) -> Iterator[IncomingFile]:
        """The files behind the first ``done``."""
        if self._file:
            yield from entries(self._file, self._source["archive"], self._source["bytes"], skip=done)
            return
        for number, file in enumerate(find_sample(self._source["name"]).files()):
            if number >= done:
                yield file
