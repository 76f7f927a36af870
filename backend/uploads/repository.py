"""All SQL over resumable uploads."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.orm import Session

from backend.datasets.images import find_dataset
from backend.db.base import utc_now
from backend.tables.datasets import ImportRow
from backend.tables.uploads import UploadRow
from backend.uploads.errors import UploadExpired, UploadNotFound

OPEN: Final = "open"
COMPLETE: Final = "complete"
EXPIRED: Final = "expired"
_RESERVING: Final = 0x75706C64
"""Of PostgreSQL's advisory locks, the one under which room is reserved."""


class UploadRepository:
    """Looking at uploads, and changing them in the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: UploadRow) -> None:
        """Record an upload. Raises DatasetNotFound."""
        find_dataset(self._session, row.dataset_id)
        self._session.add(row)
        self._session.flush()

    def get(self, upload_id: str, token_id: str) -> UploadRow:
        """A token's own upload.

        Raises:
            UploadNotFound: there is none, or it is another's.
            UploadExpired
        """
        row = self._session.get(UploadRow, upload_id, populate_existing=True)
        if row is None or row.token_id != token_id:
            raise UploadNotFound
        if row.state == EXPIRED or (row.state == OPEN and row.expires_at <= utc_now()):
            raise UploadExpired
        return row

    def lock(self, upload_id: str) -> UploadRow:
        """An upload, with others who want to change it made to wait. Raises UploadNotFound."""
        query = select(UploadRow).where(UploadRow.id == upload_id).with_for_update()
        row = self._session.scalar(query.execution_options(populate_existing=True))
        if row is None:
            raise UploadNotFound
        return row

    def unfinished(
        self,
        token_id: str,
        *,
        dataset_id: str,
        fingerprint: str | None,
        limit: int,
        after: str | None = None,
        with_complete: bool = False,
    ) -> list[UploadRow]:
        """A token's uploads into a dataset that aren't complete, or all that aren't forgotten; the newest first."""
        states = (OPEN, COMPLETE) if with_complete else (OPEN,)
        query = select(UploadRow).where(
            UploadRow.dataset_id == dataset_id,
            UploadRow.token_id == token_id,
            UploadRow.state.in_(states),
            UploadRow.expires_at > utc_now(),
        )
        if fingerprint is not None:
            query = query.where(UploadRow.fingerprint == fingerprint)
        if after:
            query = query.where(UploadRow.id < after)
        return list(self._session.scalars(query.order_by(UploadRow.id.desc()).limit(limit)))

    def lock_reservations(self) -> None:
        """Let nobody else reserve room until the end of the transaction (SQLite has one writer anyway)."""
        if self._session.get_bind().dialect.name == "postgresql":
            self._session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _RESERVING})

    def reserved_bytes(self) -> int:
        """Bytes that open uploads have still to bring."""
        missing = select(func.coalesce(func.sum(UploadRow.length - UploadRow.received), 0))
        return int(self._session.scalar(missing.where(UploadRow.state == OPEN, UploadRow.expires_at > utc_now())) or 0)

    def move(self, upload_id: str, *, before: int, after: int, expires_at: datetime) -> bool:
        """Record what is on the disk; whether it was as expected."""
        query = update(UploadRow).where(
            UploadRow.id == upload_id, UploadRow.received == before, UploadRow.state == OPEN
        )
        moved: Any = self._session.execute(
            query.values(received=after, expires_at=expires_at)
        )  # Any: a cursor's result
        return bool(moved.rowcount)

    def delete(self, upload_id: str) -> None:
        """Forget an upload."""
        self._session.execute(delete(UploadRow).where(UploadRow.id == upload_id))

    def received_in_full(self) -> list[str]:
        """Ids of uploads of which every byte has come and nothing was made yet."""
        query = select(UploadRow.id).where(UploadRow.state == OPEN, UploadRow.received == UploadRow.length)
        return list(self._session.scalars(query.order_by(UploadRow.id)))

    def open_ids(self) -> list[str]:
        """Ids of uploads that aren't complete."""
        return list(self._session.scalars(select(UploadRow.id).where(UploadRow.state == OPEN)))

    def out_of_date(self) -> list[str]:
        """Ids of open uploads for which nothing came for too long."""
        query = select(UploadRow.id).where(UploadRow.state == OPEN, UploadRow.expires_at <= utc_now())
        return list(self._session.scalars(query))

    def expire(self, upload_id: str) -> None:
        """Give up an upload for which nothing came; nothing happens where something came after all."""
        query = update(UploadRow).where(
            UploadRow.id == upload_id, UploadRow.state == OPEN, UploadRow.expires_at <= utc_now()
        )
        self._session.execute(query.values(state=EXPIRED))

    def forget_closed(self, before: datetime) -> None:
        """Delete the rows of uploads that were complete or expired by then."""
        closed = UploadRow.state.in_((COMPLETE, EXPIRED))
        self._session.execute(delete(UploadRow).where(closed, UploadRow.expires_at < before))

    def unneeded_parts(self, upload_ids: Iterable[str]) -> list[str]:
        """Those of ``upload_ids`` whose part neither an open upload nor an import needs."""
        wanted = set(upload_ids)
        needed = set(self._session.scalars(select(UploadRow.id).where(UploadRow.state == OPEN)))
        needed |= {str(source.get("upload")) for source in self._session.scalars(select(ImportRow.source))}
        return sorted(wanted - needed)
