"""Keys: the owner's own, and one for each program that calls."""

import os
import secrets
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy.exc import IntegrityError

from backend.accounts.repository import TokenRepository
from backend.accounts.scopes import ScopeTooSmall
from backend.caller import Caller, secret_sha256
from backend.db.base import utc_now
from backend.db.session import DATABASE_AWAY, Database, ReadSession, WriteSession
from backend.domain.errors import Conflict, NotAllowed, NotFound, Unavailable
from backend.domain.ids import TokenId, new_id
from backend.domain.scopes import TokenScope
from backend.settings import Settings
from backend.storage.permissions import make_private_file, make_private_folder
from backend.tables.accounts import TokenRow

SECRET_BYTES: Final = 32
"""256 random bits; written down they are 43 letters."""
SHORTEST: Final = 16
"""Characters of a key; a shorter one is damaged."""
NOTE_EVERY: Final = timedelta(minutes=1)
"""How exact "last used" is: one write a minute and token, not one a request."""


class TokenNotFound(NotFound):
    """There is no such token."""

    code = "token-not-found"

    def __init__(self, token_id: TokenId) -> None:
        super().__init__("There is no token with this id, or it isn't yours.", details={"token_id": token_id})


class OwnerTokenStays(Conflict):
    """The owner's key can't be taken away from within: nobody could sign in any more."""

    code = "owner-token-stays"

    def __init__(self) -> None:
        super().__init__(
            "This is the owner's key, with which this server is guarded. It can't be taken away here.",
            advice="To change it, set TELLAPART_TOKEN to a new one and start the server again.",
        )


class WouldOutlive(NotAllowed):
    """A token would work longer than the one that makes it."""

    code = "token-would-outlive"

    def __init__(self, until: datetime) -> None:
        super().__init__(
            f"Your own key works until {until:%d %B %Y}, and a key that you make can't work longer.",
            advice="Choose fewer days, or leave the days out.",
            details={"expires_at": until.isoformat()},
        )


def ensure_owner_token(database: Database, settings: Settings) -> str | None:
    """See to it that the owner's key works, and that every former one doesn't.

    Returns:
        The key kept in the data folder, to be shown at the start; None where
        ``TELLAPART_TOKEN`` set it, since its owner knows it.
    """
    if settings.token is not None:
        _accept_as_owner(database, settings.token.get_secret_value())
        token_file(settings).unlink(missing_ok=True)
        return None
    secret = _kept_secret(token_file(settings))
    _accept_as_owner(database, secret)
    return secret


class KeyUnknown(Unavailable):
    """The owner's key can't be shown here."""

    code = "key-unknown"

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message, advice=advice)


def owner_key(settings: Settings) -> str:
    """The owner's key as it is set or kept; nothing is made, changed or taken away.

    Raises:
        KeyUnknown: it is neither set here nor kept in the data folder.
    """
    if settings.token is not None:
        return settings.token.get_secret_value()
    secret = _read_secret(token_file(settings))
    if secret is None:
        raise KeyUnknown(
            f"There is no key in {token_file(settings)}.",
            "If the server was started with TELLAPART_TOKEN, that is the key, and only its hash is kept. Otherwise the "
            "first start of `tellapart serve` makes one.",
        )
    return secret


def is_owner_key(database: Database, secret: str) -> bool:
    """Whether the server accepts this as its owner's key."""
    with database.read() as session:
        row = TokenRepository(session).with_sha256(secret_sha256(secret))
    return row is not None and row.is_owner and is_live(row, utc_now())


def token_file(settings: Settings) -> Path:
    """Where a key that we made is kept."""
    return settings.data / "token"


def create_token(
    session: WriteSession,
    name: str,
    lifetime: timedelta | None = None,
    *,
    scope: TokenScope = TokenScope.WRITE,
    maker: Caller | None = None,
) -> tuple[TokenRow, str]:
    """Make a token for a program: the row, and the secret, which nobody can read again.

    Args:
        lifetime: how long it works; None: as long as its maker does.
        maker: who makes it; None: the owner, at the server's own command line.

    Raises:
        ScopeTooSmall: its maker may do less than it could.
        WouldOutlive: it would work longer than its maker.
    """
    if maker is not None and not maker.scope.includes(scope):
        raise ScopeTooSmall(maker.scope, scope)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    row = TokenRow(
        id=new_id(),
        name=name,
        sha256=secret_sha256(secret),
        is_owner=False,
        scope=scope,
        made_by=None if maker is None or maker.is_owner else maker.token_id,
        expires_at=_expiry(session, lifetime, maker),
    )
    TokenRepository(session).add(row)
    return row, secret


def _expiry(session: WriteSession, lifetime: timedelta | None, maker: Caller | None) -> datetime | None:
    makers = TokenRepository(session).get(maker.token_id) if maker else None
    last = makers.expires_at if makers else None
    if lifetime is None:
        return last
    expires_at = utc_now() + lifetime
    if last is not None and expires_at > last:
        raise WouldOutlive(last)
    return expires_at


def list_tokens(session: ReadSession, *, after: str | None, limit: int) -> Sequence[TokenRow]:
    """Tokens that work, oldest first; one more than ``limit`` where there are more."""
    return TokenRepository(session).live(utc_now(), after, limit + 1)


def revoke_token(session: WriteSession, token_id: TokenId) -> None:
    """Take a token away, and with it every browser that signed in by it.

    Raises:
        TokenNotFound: there is none, or it was taken away before.
        OwnerTokenStays: it is the owner's key.
    """
    tokens = TokenRepository(session)
    row = tokens.get(token_id)
    if row is None or row.revoked_at is not None:
        raise TokenNotFound(token_id)
    if row.is_owner:
        raise OwnerTokenStays
    tokens.revoke(row, utc_now())


def authenticate(database: Database, secret: str) -> Caller | None:
    """The caller behind a token; nobody where it is unknown, revoked or expired."""
    now = utc_now()
    with database.read() as session:
        row = TokenRepository(session).with_sha256(secret_sha256(secret))
        if row is None or not is_live(row, now):
            return None
        caller = Caller(TokenId(row.id), row.is_owner, TokenScope(row.scope))
        is_noted = row.last_used_at is not None and row.last_used_at > now - NOTE_EVERY
    if not is_noted:
        # For want of a note, such as on a full disk, nobody is locked out: there is another time.
        with suppress(*DATABASE_AWAY), database.write() as writing:
            TokenRepository(writing).note_use(caller.token_id, now)
    return caller


def is_live(row: TokenRow, now: datetime) -> bool:
    """Whether a token works at this moment."""
    return row.revoked_at is None and (row.expires_at is None or row.expires_at > now)


def _accept_as_owner(database: Database, secret: str) -> None:
    sha256 = secret_sha256(secret)
    try:
        with database.write() as session:
            tokens = TokenRepository(session)
            for former in tokens.other_owners(sha256):
                tokens.revoke(former, utc_now())
            row = tokens.with_sha256(sha256)
            if row is None:
                tokens.add(TokenRow(id=new_id(), name="owner", sha256=sha256, is_owner=True, scope=TokenScope.OWNER))
            else:
                row.is_owner, row.revoked_at, row.expires_at, row.made_by = True, None, None, None
                row.scope = TokenScope.OWNER
    except IntegrityError:
        # Another web process of the same start was faster; it wrote the same row.
        return


def _kept_secret(file: Path) -> str:
    secret = _read_secret(file)
    if secret is not None:
        make_private_file(file)
        return secret
    make_private_folder(file.parent)
    if file.exists() and _read_secret(file) is None:
        file.unlink(missing_ok=True)  # cut off by a full disk, or emptied by hand
    descriptor, name = tempfile.mkstemp(dir=file.parent)  # made with mode 0600
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "w") as opened:
            opened.write(secrets.token_urlsafe(SECRET_BYTES) + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        with suppress(FileExistsError):
            file.hardlink_to(partial)  # unlike a rename it fails where another process was faster
    finally:
        partial.unlink()
    kept = _read_secret(file)
    assert kept is not None
    return kept


def _read_secret(file: Path) -> str | None:
    try:
        secret = file.read_text().strip()
    except FileNotFoundError:
        return None
    return secret if len(secret) >= SHORTEST else None
