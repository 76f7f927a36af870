"""What becomes of an upload of which every byte has come. Safe to repeat: it is done exactly once, whoever asks."""

from pathlib import PurePosixPath

from backend.datasets.archives.reading import kind_of
from backend.datasets.import_queue.queueing import queue_import
from backend.datasets.ingest import IncomingFile, Ingested, ingest
from backend.domain.json import Json
from backend.imaging.pool import DecodingPool
from backend.ledger.unit_of_work import OpenUnit
from backend.storage.base import Storage
from backend.tables.uploads import UploadRow
from backend.uploads.headers import Kind
from backend.uploads.parts import Part, delete_part, locked_part
from backend.uploads.receive import true_to_disk
from backend.uploads.repository import COMPLETE, OPEN, UploadRepository


def settled(
    open_unit: OpenUnit, storage: Storage, decoders: DecodingPool, upload_id: str, token_id: str | None
) -> UploadRow:
    """An upload as it truly stands; one that is on the disk in full becomes an import or a picture first.

    Raises:
        UploadNotFound, UploadExpired, UploadBusy
        DatasetNotFound: its dataset was deleted.
        NotAnArchive: an archive can't be read as one.
        DecodersBusy, DecodersDown, NoRoom: it can be tried again.
    """
    with open_unit() as unit:
        repository = UploadRepository(unit.session)
        row = repository.lock(upload_id) if token_id is None else repository.get(upload_id, token_id)
    if row.state != OPEN:
        return row
    with locked_part(storage, upload_id) as part:
        row = true_to_disk(open_unit, part, upload_id, token_id)
        if row.state != OPEN or row.received < row.length:
            return row
        if row.kind == Kind.ARCHIVE:
            return _import(open_unit, part, row)
        row = _add(open_unit, storage, decoders, part, row)
    delete_part(storage, upload_id)
    return row


def _import(open_unit: OpenUnit, part: Part, row: UploadRow) -> UploadRow:
    """Queue the import and close the upload in one transaction: a kill leaves both done, or neither."""
    source = {
        "kind": "archive",
        "archive": kind_of(part.first_bytes()),
        "upload": row.id,
        "bytes": row.length,
        "name": PurePosixPath(row.path).name[:200],
    }
    with open_unit() as unit:
        locked = UploadRepository(unit.session).lock(row.id)
        if locked.state == OPEN:
            locked.import_id = queue_import(unit, locked.dataset_id, source)
            locked.state = COMPLETE
        return locked


def _add(open_unit: OpenUnit, storage: Storage, decoders: DecodingPool, part: Part, row: UploadRow) -> UploadRow:
    """Add the picture; the same bytes a second time, after a kill, are the same picture."""
    found = ingest(open_unit, storage, decoders, row.dataset_id, [IncomingFile(row.path, part.content())])
    with open_unit() as unit:
        locked = UploadRepository(unit.session).lock(row.id)
        if locked.state == OPEN:
            locked.state, locked.result = COMPLETE, _result(found)
        return locked


def _result(found: Ingested) -> dict[str, Json]:
    return {
        "added": found.added,
        "already_there": found.already_there,
        "ignored": found.ignored,
        "tables": found.tables,
        "imports": list(found.imports),
        "rejected": [{"path": one.path, "code": one.code, "message": one.message} for one in found.rejected],
        "notes": [
            {"path": noted.path, "code": noted.note.code, "message": noted.note.message} for noted in found.noted
        ],
    }
