"""Links that sign a browser in: each works once and for an hour, so that one in a browser's history opens nothing."""

import secrets
from datetime import timedelta
from typing import Final

from backend.accounts.repository import SignInLinkRepository, TokenRepository
from backend.caller import secret_sha256
from backend.db.base import utc_now
from backend.db.session import Database
from backend.domain.errors import Unavailable
from backend.settings import Settings
from backend.tables.accounts import SignInLinkRow

LIFETIME: Final = timedelta(hours=1)
_REMEMBERED: Final = timedelta(days=30)
"""For so long a link that no longer works is answered with how to get another."""


class NoOwnerYet(Unavailable):
    """No server has been started on this database."""

    code = "no-owner-yet"

    def __init__(self) -> None:
        super().__init__("There is no key yet: the first start makes one.", advice="Run `tellapart serve` first.")


def create_link(database: Database, settings: Settings) -> str:
    """The address of a fresh link for the owner.

    Raises:
        NoOwnerYet: the database has no owner's key.
    """
    secret, now = secrets.token_urlsafe(32), utc_now()
    with database.write() as session:
        owner = TokenRepository(session).owner()
        if owner is None:
            raise NoOwnerYet
        links = SignInLinkRepository(session)
        links.purge(now - _REMEMBERED)
        links.add(SignInLinkRow(sha256=secret_sha256(secret), token_id=owner.id, expires_at=now + LIFETIME))
    return f"{sign_in_address(settings)}?token={secret}"


def sign_in_address(settings: Settings) -> str:
    """Where people sign in."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    base = settings.base_url or f"http://{host}:{settings.port}"
    return f"{base.rstrip('/')}/sign-in"
