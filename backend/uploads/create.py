"""Begin an upload: its room on the disk is reserved, or it is refused before a byte is sent."""

from datetime import timedelta
from typing import Final

from backend.db.base import utc_now
from backend.domain.ids import new_id
from backend.ledger.unit_of_work import OpenUnit
from backend.storage.base import KEEP_FREE, Storage
from backend.tables.uploads import UploadRow
from backend.uploads.errors import NoRoomForUpload
from backend.uploads.headers import NewUpload
from backend.uploads.repository import UploadRepository

KEPT_FOR: Final = timedelta(days=7)
"""How long an upload waits for its next bytes."""
_KEEP_FREE: Final = 5 << 30
_KEEP_FREE_SHARE: Final = 0.05


def kept_free(disk_bytes: int) -> int:
    """Bytes of a disk that uploads leave to others: trainings, thumbnails and the database write as well."""
    return max(KEEP_FREE, min(_KEEP_FREE, round(_KEEP_FREE_SHARE * disk_bytes)))


def create_upload(open_unit: OpenUnit, storage: Storage, new: NewUpload, token_id: str) -> UploadRow:
    """Record an upload and reserve its room. The same announcement again, before any byte came, is the same upload.

    Raises:
        DatasetNotFound
        NoRoomForUpload: with what is needed, free and reserved.
    """
    with open_unit() as unit:
        repository = UploadRepository(unit.session)
        repository.lock_reservations()
        if (known := _announced_before(repository, new, token_id)) is not None:
            return known
        # In this order: what arrives meanwhile is counted twice and never left out.
        reserved = repository.reserved_bytes()
        available = storage.free_bytes() - kept_free(storage.disk_bytes()) - reserved
        if new.length > available:
            raise NoRoomForUpload(new.length, available, reserved)
        row = UploadRow(
            id=new_id(),
            dataset_id=new.dataset_id,
            token_id=token_id,
            path=new.path,
            kind=new.kind.value,
            length=new.length,
            received=0,
            given_metadata=new.given_metadata,
            fingerprint=new.fingerprint,
            expires_at=utc_now() + KEPT_FOR,
        )
        repository.add(row)
        return row


def _announced_before(repository: UploadRepository, new: NewUpload, token_id: str) -> UploadRow | None:
    """An upload whose answer the client never saw; else each repetition would reserve the room again."""
    if new.fingerprint is None:
        return None
    found = repository.unfinished(token_id, dataset_id=new.dataset_id, fingerprint=new.fingerprint, limit=10)
    same = (new.path, new.kind.value, new.length, 0)
    return next((row for row in found if (row.path, row.kind, row.length, row.received) == same), None)
