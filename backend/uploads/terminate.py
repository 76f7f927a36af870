"""Give an upload up, and its room back."""

from backend.ledger.unit_of_work import OpenUnit
from backend.storage.base import Storage
from backend.uploads.parts import delete_part
from backend.uploads.repository import OPEN, UploadRepository


def terminate(open_unit: OpenUnit, storage: Storage, upload_id: str, token_id: str) -> None:
    """Delete an upload and what has arrived. What a complete one has become stays.

    Raises:
        UploadNotFound, UploadExpired
    """
    with open_unit() as unit:
        repository = UploadRepository(unit.session)
        was_open = repository.get(upload_id, token_id).state == OPEN
        repository.delete(upload_id)
    if was_open:
        delete_part(storage, upload_id)
