"""Delete stored bytes that nothing refers to any more."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from backend.datasets.ingest import thumbnail_name
from backend.datasets.repository import DatasetRepository
from backend.domain.ids import Digest
from backend.imaging.thumbnails import SIZES, VIEW
from backend.ledger.unit_of_work import OpenUnit
from backend.storage.base import Storage

DOWNLOADS: Final = "downloads"
"""Folders of downloads that aren't complete, one for each import."""
UPLOADS: Final = "uploads"
"""Folders of resumable uploads, one for each."""
_AT_ONCE: Final = 200


def uploaded_file(storage: Storage, upload_id: str) -> Path:
    """Where a resumable upload's bytes lie. An archive is read from there, without being copied or renamed."""
    return storage.folder(UPLOADS, upload_id) / "part"


def forget_blobs(open_unit: OpenUnit, storage: Storage, digests: Sequence[Digest]) -> None:
    """Delete those of ``digests`` that nothing needs. To be called after the commit that dropped them.

    Looking and deleting happen while nobody can record images, so nothing is taken from under an upload.
    """
    for start in range(0, len(digests), _AT_ONCE):
        with open_unit() as unit:
            repository = DatasetRepository(unit.session)
            repository.lock_references()
            for digest in repository.unreferenced(digests[start : start + _AT_ONCE]):
                storage.delete_blob(digest)
                folder = storage.folder("thumbnails", digest[:2])
                for side in (*SIZES, VIEW):
                    for name in (thumbnail_name(digest, side), *_older_names(digest, side)):
                        (folder / name).unlink(missing_ok=True)


def _older_names(digest: Digest, side: int) -> tuple[str, str]:
    """What older versions called a small copy."""
    return f"{digest}-{side}.webp", f"{digest}-{side}-2.webp"


def forget_archives(open_unit: OpenUnit, storage: Storage) -> int:
    """Delete what imports that have ended, however they ended, were made from; of how many. Safe to repeat.

    That is archives, uploads, lists of addresses or names, parts of downloads, and keys.
    """
    with open_unit() as unit:
        leftovers = DatasetRepository(unit.session).leftovers_of_ended_imports()
    if not leftovers:
        return 0
    forget_blobs(open_unit, storage, sorted({digest for digest, _ in leftovers.values() if digest}))
    for upload_id in {upload_id for _, upload_id in leftovers.values() if upload_id}:
        storage.delete_folder(UPLOADS, upload_id)
    for import_id in leftovers:
        storage.delete_folder(DOWNLOADS, import_id)
    with open_unit() as unit:
        DatasetRepository(unit.session).note_leftovers_deleted(leftovers)
    return len(leftovers)
