"""All SQL about tokens, sessions, links, failed tries and kept answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, delete, func, or_, select, update
from sqlalchemy.orm import Session

from backend.domain.ids import TokenId
from backend.tables.accounts import KeptAnswerRow, SessionRow, SignInFailureRow, SignInLinkRow, TokenRow


class TokenRepository:
    """Tokens; a revoked one stays as a row so that its history stays known."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: TokenRow) -> None:
        """Keep a new token."""
        self._session.add(row)
        self._session.flush()

    def get(self, token_id: TokenId) -> TokenRow | None:
        """A token by its id, revoked or not."""
        return self._session.get(TokenRow, token_id)

    def with_sha256(self, sha256: str) -> TokenRow | None:
        """A token by the hash of its secret, revoked or not."""
        return self._session.scalar(select(TokenRow).where(TokenRow.sha256 == sha256))

    def live(self, now: datetime, after: str | None, limit: int) -> Sequence[TokenRow]:
        """Tokens that work, oldest first."""
        query = select(TokenRow).where(
            TokenRow.revoked_at.is_(None), or_(TokenRow.expires_at.is_(None), TokenRow.expires_at > now)
        )
        if after is not None:
            query = query.where(TokenRow.id > after)
        return self._session.scalars(query.order_by(TokenRow.id).limit(limit)).all()

    def other_owners(self, sha256: str) -> Sequence[TokenRow]:
        """The owner's keys but this one that still work."""
        query = select(TokenRow).where(TokenRow.is_owner, TokenRow.sha256 != sha256, TokenRow.revoked_at.is_(None))
        return self._session.scalars(query).all()

    def owner(self) -> TokenRow | None:
        """The owner's key that works."""
        return self._session.scalar(select(TokenRow).where(TokenRow.is_owner, TokenRow.revoked_at.is_(None)))

    def made_by(self, token_id: str) -> Sequence[TokenRow]:
        """Tokens that one made and that still work."""
        query = select(TokenRow).where(TokenRow.made_by == token_id, TokenRow.revoked_at.is_(None))
        return self._session.scalars(query).all()

    def revoke(self, row: TokenRow, now: datetime) -> None:
        """End a token, every session opened with it, and every token it made."""
        row.revoked_at = now
        self._session.execute(delete(SessionRow).where(SessionRow.token_id == row.id))
        self._session.flush()
        for made in self.made_by(row.id):
            self.revoke(made, now)

    def note_use(self, token_id: str, now: datetime) -> None:
        """Remember when it was last used."""
        self._session.execute(update(TokenRow).where(TokenRow.id == token_id).values(last_used_at=now))


class SessionRepository:
    """Signed-in browsers."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: SessionRow) -> None:
        """Keep a new session."""
        self._session.add(row)
        self._session.flush()

    def with_token(self, sha256: str) -> tuple[SessionRow, TokenRow] | None:
        """A session and the token it was opened with."""
        query = select(SessionRow, TokenRow).join(TokenRow, TokenRow.id == SessionRow.token_id)
        found = self._session.execute(query.where(SessionRow.sha256 == sha256)).first()
        return None if found is None else (found[0], found[1])

    def note_use(self, sha256: str, now: datetime) -> None:
        """Remember when it was last seen."""
        self._session.execute(update(SessionRow).where(SessionRow.sha256 == sha256).values(last_seen_at=now))

    def delete(self, sha256: str) -> None:
        """Forget one."""
        self._session.execute(delete(SessionRow).where(SessionRow.sha256 == sha256))

    def purge(self, now: datetime, idle_since: datetime) -> None:
        """Forget those that ended by themselves."""
        ended = or_(SessionRow.expires_at <= now, SessionRow.last_seen_at <= idle_since)
        self._session.execute(delete(SessionRow).where(ended))


class SignInLinkRepository:
    """Links that work once."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: SignInLinkRow) -> None:
        """Keep a new link."""
        self._session.add(row)
        self._session.flush()

    def get(self, sha256: str) -> SignInLinkRow | None:
        """A link by the hash of its secret, used or not."""
        return self._session.get(SignInLinkRow, sha256)

    def use(self, sha256: str, now: datetime) -> bool:
        """Use a link up; whether it was still good."""
        good = (SignInLinkRow.sha256 == sha256, SignInLinkRow.used_at.is_(None), SignInLinkRow.expires_at > now)
        done: CursorResult[Any] = self._session.execute(  # type: ignore[assignment]  # Any: no rows come back
            update(SignInLinkRow).where(*good).values(used_at=now)
        )
        return done.rowcount == 1

    def purge(self, until: datetime) -> None:
        """Forget the old ones."""
        self._session.execute(delete(SignInLinkRow).where(SignInLinkRow.created_at <= until))


class SignInFailureRepository:
    """Wrong keys by address."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: SignInFailureRow) -> None:
        """Remember a wrong key."""
        self._session.add(row)
        self._session.flush()

    def count(self, address: str, since: datetime) -> int:
        """How many came from there lately."""
        query = select(func.count()).where(SignInFailureRow.address == address, SignInFailureRow.created_at > since)
        return self._session.scalar(query) or 0

    def purge(self, until: datetime) -> None:
        """Forget the old ones."""
        self._session.execute(delete(SignInFailureRow).where(SignInFailureRow.created_at <= until))


class KeptAnswerRepository:
    """Answers to requests that may be repeated."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, sha256: str) -> KeptAnswerRow | None:
        """The answer, or the place kept for it."""
        return self._session.get(KeptAnswerRow, sha256, with_for_update=True)

    def add(self, row: KeptAnswerRow) -> None:
        """Keep a place; a twin that comes at the same instant fails on the primary key."""
        self._session.add(row)
        self._session.flush()

    def touch(self, sha256: str, now: datetime) -> None:
        """Renew a place whose answer isn't there yet."""
        place = (KeptAnswerRow.sha256 == sha256, KeptAnswerRow.status.is_(None))
        self._session.execute(update(KeptAnswerRow).where(*place).values(created_at=now))

    def fill(self, sha256: str, status: int, media_type: str, body: bytes) -> bool:
        """Put the answer in its place; whether the place was still there."""
        values = {"status": status, "media_type": media_type, "body": body}
        done: CursorResult[Any] = self._session.execute(  # type: ignore[assignment]  # Any: no rows come back
            update(KeptAnswerRow).where(KeptAnswerRow.sha256 == sha256).values(values)
        )
        return done.rowcount == 1

    def delete(self, sha256: str) -> None:
        """Free the place."""
        self._session.execute(delete(KeptAnswerRow).where(KeptAnswerRow.sha256 == sha256))

    def purge(self, until: datetime) -> None:
        """Forget the old ones."""
        self._session.execute(delete(KeptAnswerRow).where(KeptAnswerRow.created_at <= until))
