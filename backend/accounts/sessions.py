"""Signed-in browsers. The cookie holds 256 random bits; the database only their hash."""

import secrets
from contextlib import suppress
from datetime import timedelta
from typing import Final

from backend.accounts.repository import SessionRepository
from backend.accounts.tokens import NOTE_EVERY, SECRET_BYTES, is_live
from backend.caller import Caller, csrf_token_of, secret_sha256
from backend.db.base import utc_now
from backend.db.session import DATABASE_AWAY, Database, WriteSession
from backend.domain.ids import TokenId
from backend.domain.scopes import TokenScope
from backend.tables.accounts import SessionRow

IDLE: Final = timedelta(hours=12)
LIFETIME: Final = timedelta(days=7)


def open_session(session: WriteSession, token_id: TokenId) -> str:
    """Start a session; what the cookie is to hold. Always a fresh secret, so none can be planted beforehand."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    now = utc_now()
    sessions = SessionRepository(session)
    sessions.purge(now, now - IDLE)
    sessions.add(SessionRow(sha256=secret_sha256(secret), token_id=token_id, expires_at=now + LIFETIME))
    return secret


def close_session(session: WriteSession, session_sha256: str) -> None:
    """End a session: copies of its cookie are dead at once."""
    SessionRepository(session).delete(session_sha256)


def find_session(database: Database, secret: str) -> Caller | None:
    """The caller behind a cookie; nobody where it is unknown, idle for too long, too old, or its token is dead."""
    now = utc_now()
    sha256 = secret_sha256(secret)
    with database.read() as session:
        found = SessionRepository(session).with_token(sha256)
        if found is None:
            return None
        row, token = found
        if row.expires_at <= now or row.last_seen_at <= now - IDLE or not is_live(token, now):
            return None
        caller = Caller(TokenId(token.id), token.is_owner, TokenScope(token.scope), sha256, csrf_token_of(secret))
        is_noted = row.last_seen_at > now - NOTE_EVERY
    if not is_noted:
        with suppress(*DATABASE_AWAY), database.write() as writing:  # there is another time
            SessionRepository(writing).note_use(sha256, now)
    return caller
