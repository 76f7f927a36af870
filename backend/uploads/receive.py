"""Take in the bytes of an upload. The offset moves only after they are on the disk for certain."""

from collections.abc import Iterator
from typing import Final

from starlette.requests import ClientDisconnect

from backend.datasets.archives.reading import kind_of
from backend.datasets.errors import NotAnArchive
from backend.db.base import utc_now
from backend.domain.errors import NoRoom, is_disk_full
from backend.ledger.unit_of_work import OpenUnit
from backend.storage.base import KEEP_FREE, Storage
from backend.tables.uploads import UploadRow
from backend.uploads.create import KEPT_FOR
from backend.uploads.errors import BodyTooLarge, ChecksumMismatch, UploadBusy, WrongOffset
from backend.uploads.headers import MAX_CHECKED, Checksum, Kind
from backend.uploads.holders import TakenOver
from backend.uploads.parts import Part, delete_part, locked_part
from backend.uploads.repository import COMPLETE, UploadRepository

SYNCED_EVERY: Final = 16 << 20
"""Bytes after which the offset moves, however long a request is: at most so many are sent again after a kill."""
"""Bytes that the database and others need when the disk is nearly full, which reservations don't prevent."""
_HEAD: Final = 512
"""Bytes by which an archive is recognised."""


def receive(
    open_unit: OpenUnit,
    storage: Storage,
    upload_id: str,
    token_id: str,
    *,
    offset: int,
    checksum: Checksum | None,
    chunks: Iterator[bytes],
) -> UploadRow:
    """Add bytes to an upload, from ``offset`` on; the upload as it stands then.

    Whatever ends the stream early, what has come is kept; but bytes with a checksum only as a whole.

    Raises:
        UploadNotFound, UploadExpired
        UploadBusy: another request has it, or took it over.
        WrongOffset, BodyTooLarge, ChecksumMismatch: nothing was changed.
        NotAnArchive: what begins like this is none, and the upload was deleted.
        NoRoom: the disk is full; what was on it for certain stays.
    """
    with open_unit() as unit:
        UploadRepository(unit.session).get(upload_id, token_id)
    with locked_part(storage, upload_id) as part:
        row = true_to_disk(open_unit, part, upload_id, token_id)
        if offset != row.received:
            raise WrongOffset(offset, row.received)
        if row.state == COMPLETE:
            return row
        taking = _Taking(open_unit, storage, part, row)
        try:
            if checksum is None:
                taking.take(chunks)
            else:
                taking.take_checked(chunks, checksum)
        except NotAnArchive:
            with open_unit() as unit:
                UploadRepository(unit.session).delete(upload_id)
            delete_part(storage, upload_id)
            raise
        except OSError as error:
            if is_disk_full(error):
                part.cut(taking.row.received)
                raise NoRoom(storage.free_bytes()) from error
            raise
        return taking.row


def true_to_disk(open_unit: OpenUnit, part: Part, upload_id: str, token_id: str | None) -> UploadRow:
    """An upload and its part, made to agree: the part may be longer after a kill, and shorter after a broken disk.

    ``token_id``: whose it must be; None where the server itself asks.

    Raises:
        UploadNotFound, UploadExpired
    """
    with open_unit() as unit:
        repository = UploadRepository(unit.session)
        row = repository.lock(upload_id) if token_id is None else repository.get(upload_id, token_id)
        if row.state == COMPLETE:
            return row
        row.received = min(row.received, part.size)
    part.cut(row.received)
    return row


class _Taking:
    """Bytes on their way to the disk. ``row`` has the offset that is certain."""

    def __init__(self, open_unit: OpenUnit, storage: Storage, part: Part, row: UploadRow) -> None:
        self._open_unit, self._storage, self._part = open_unit, storage, part
        self.row = row

    def take(self, chunks: Iterator[bytes]) -> None:
        """Keep what comes, also where it ends early."""
        try:
            for chunk in chunks:
                if self._part.size + len(chunk) > self.row.length:
                    self._part.cut(self.row.received)
                    raise BodyTooLarge(self.row.length - self.row.received)
                self._part.append(chunk)
                if self._part.size - self.row.received >= SYNCED_EVERY:
                    self._keep()
        except TakenOver as error:
            self._keep()
            raise UploadBusy(1) from error
        except ClientDisconnect:
            self._keep()
            raise
        self._keep()

    def take_checked(self, chunks: Iterator[bytes], checksum: Checksum) -> None:
        """Keep all that comes if it is what was sent, else nothing."""
        hasher = checksum.hasher()
        most = min(MAX_CHECKED, self.row.length - self.row.received)
        try:
            for chunk in chunks:
                if self._part.size + len(chunk) - self.row.received > most:
                    raise BodyTooLarge(most)
                hasher.update(chunk)
                self._part.append(chunk)
            if not checksum.is_of(hasher):
                raise ChecksumMismatch(self.row.received)
        except TakenOver as error:
            self._part.cut(self.row.received)
            raise UploadBusy(1) from error
        except BaseException:
            self._part.cut(self.row.received)
            raise
        self._keep()

    def _keep(self) -> None:
        """Bring what was written onto the disk, then move the offset."""
        before, after = self.row.received, self._part.size
        if after == before:
            return
        if self.row.kind == Kind.ARCHIVE and before < _HEAD and (after >= _HEAD or after == self.row.length):
            kind_of(self._part.first_bytes(_HEAD))
        if (free := self._storage.free_bytes()) < KEEP_FREE:
            self._part.cut(before)
            raise NoRoom(free)
        self._part.sync()
        until = utc_now() + KEPT_FOR
        with self._open_unit() as unit:
            if not UploadRepository(unit.session).move(self.row.id, before=before, after=after, expires_at=until):
                raise UploadBusy(1)
        self.row.received, self.row.expires_at = after, until
