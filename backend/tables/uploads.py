"""Resumable uploads of archives and large files."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, BigInt, Id, PrimaryId, utc_now
from backend.domain.json import Json


class UploadRow(Base):
    """One file on its way into a dataset, by the token with which it was begun.

    ``received`` of ``length`` bytes are on the disk for certain: it moves only after they were synced, and what the
    part holds beyond it is cut off. ``given_metadata`` is the header as it came, which the protocol wants back.
    ``fingerprint`` is how a client finds the upload again. ``state`` is open, complete or expired; a complete archive
    has an ``import_id``, another complete file its ``result``.
    """

    __tablename__ = "uploads"
    __table_args__ = (Index(None, "dataset_id", "token_id"), Index(None, "state"))

    id: Mapped[PrimaryId]
    dataset_id: Mapped[Id] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    token_id: Mapped[Id]
    path: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(16))
    length: Mapped[BigInt]
    received: Mapped[BigInt] = mapped_column(default=0)
    given_metadata: Mapped[str] = mapped_column(Text)
    fingerprint: Mapped[str | None] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(16), default="open")
    import_id: Mapped[Id | None] = mapped_column(ForeignKey("imports.id", ondelete="SET NULL"), index=True)
    result: Mapped[dict[str, Json] | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
