"""The session cookie: its name and how it is set."""

from dataclasses import dataclass

from starlette.responses import Response

from backend.accounts.sessions import LIFETIME
from backend.settings import Settings


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """What the browser shall keep, and where to send it."""

    name: str
    path: str
    is_secure: bool

    def put(self, response: Response, secret: str) -> None:
        """Have the browser keep ``secret``."""
        response.set_cookie(
            self.name,
            secret,
            max_age=int(LIFETIME.total_seconds()),
            path=self.path,
            secure=self.is_secure,
            httponly=True,
            samesite="lax",
        )

    def take_away(self, response: Response) -> None:
        """Have the browser forget it."""
        response.delete_cookie(self.name, path=self.path, secure=self.is_secure, httponly=True, samesite="lax")


def session_cookie(settings: Settings) -> SessionCookie:
    """The cookie of this server. ``__Host-`` keeps sibling hosts from planting one; it wants https and the root."""
    if settings.is_secure and not settings.root_path:
        return SessionCookie("__Host-sid", "/", is_secure=True)
    return SessionCookie("sid", settings.root_path or "/", settings.is_secure)
