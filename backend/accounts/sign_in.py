"""A person signs in with a key or a link. Wrong ones are counted by address, so that nobody can try them all."""

from dataclasses import dataclass
from datetime import timedelta

from backend.accounts.guesses import TRIES, WINDOW
from backend.accounts.repository import SignInFailureRepository, SignInLinkRepository, TokenRepository
from backend.accounts.sessions import open_session
from backend.accounts.tokens import is_live
from backend.caller import secret_sha256
from backend.db.base import utc_now
from backend.db.session import WriteSession
from backend.domain.ids import TokenId, new_id
from backend.tables.accounts import SignInFailureRow


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The key was right."""

    session_secret: str


@dataclass(frozen=True, slots=True)
class WrongKey:
    """No such key, or one that was taken away."""


@dataclass(frozen=True, slots=True)
class TooManyTries:
    """Too many wrong keys came from this address; even the right one has to wait, or guessing would pay."""

    wait: timedelta = WINDOW


@dataclass(frozen=True, slots=True)
class UsedLink:
    """The link was used before, or is too old."""


SignInOutcome = SignedIn | WrongKey | UsedLink | TooManyTries


def sign_in(session: WriteSession, key: str, address: str) -> SignInOutcome:
    """Open a session for whoever has a key or a link. A wrong one is an outcome, not an error: it has to be counted."""
    now = utc_now()
    failures = SignInFailureRepository(session)
    failures.purge(now - WINDOW)
    if failures.count(address, now - WINDOW) >= TRIES:
        return TooManyTries()
    sha256 = secret_sha256(key.strip())
    links = SignInLinkRepository(session)
    if (link := links.get(sha256)) is not None:
        token = TokenRepository(session).get(TokenId(link.token_id))
        is_good = token is not None and is_live(token, now) and links.use(sha256, now)
        return SignedIn(open_session(session, TokenId(link.token_id))) if is_good else UsedLink()
    row = TokenRepository(session).with_sha256(sha256)
    if row is None or not is_live(row, now):
        failures.add(SignInFailureRow(id=new_id(), address=address[:64]))
        return WrongKey()
    return SignedIn(open_session(session, TokenId(row.id)))
