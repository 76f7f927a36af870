"""Who may call: tokens, browser sessions, links, failed tries, and answers kept for repeated requests."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.base import Base, Id, PrimaryId, Sha256, utc_now


class TokenRow(Base):
    """A key for programs and for signing in; only its SHA-256 is kept.

    ``scope`` is a ``TokenScope``. ``made_by`` is the token that made it, with which it ends; None: the owner's key,
    which may be changed without a program losing its own.
    """

    __tablename__ = "tokens"
    __table_args__ = (Index(None, "sha256", unique=True),)

    id: Mapped[PrimaryId]
    name: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[Sha256]
    is_owner: Mapped[bool] = mapped_column(default=False)
    scope: Mapped[str] = mapped_column(String(8))
    made_by: Mapped[Id | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class SessionRow(Base):
    """A signed-in browser; the cookie's value is kept only as SHA-256."""

    __tablename__ = "sessions"

    sha256: Mapped[Sha256] = mapped_column(primary_key=True)
    token_id: Mapped[Id] = mapped_column(ForeignKey("tokens.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_seen_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]


class SignInLinkRow(Base):
    """A link that signs a browser in once, as whoever has the token."""

    __tablename__ = "sign_in_links"

    sha256: Mapped[Sha256] = mapped_column(primary_key=True)
    token_id: Mapped[Id] = mapped_column(ForeignKey("tokens.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SignInFailureRow(Base):
    """A wrong key, by address; too many of them make the next tries wait."""

    __tablename__ = "sign_in_failures"
    __table_args__ = (Index(None, "address", "created_at"),)

    id: Mapped[PrimaryId]
    address: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class KeptAnswerRow(Base):
    """The answer to a request with an ``Idempotency-Key``, kept for a day."""

    __tablename__ = "kept_answers"
    __table_args__ = (Index(None, "created_at"),)

    sha256: Mapped[Sha256] = mapped_column(primary_key=True)
    request_sha256: Mapped[Sha256]
    status: Mapped[int | None]
    media_type: Mapped[str | None] = mapped_column(Text)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
