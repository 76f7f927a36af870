"""What every answer carries and what no request gets past: headers, host names, paths."""

import ipaddress
import re
import socket
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.error_handlers import error_body, wants_page
from backend.settings import Settings

log = structlog.get_logger()

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
)
"""For pages. Answers with uploaded bytes set their own, stricter one, which stays."""

_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
}


class SecurityHeaders:
    """Outermost, so that refusals, bugs, files and streams carry them too."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._always = dict(_ALWAYS)
        if settings.is_secure:
            self._always["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
                headers.setdefault("Cache-Control", "private, no-cache")
                headers.update(self._always)
            await send(message)

        await self._app(scope, receive, send_with_headers)


_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_NOT_FOUND: Final = error_body("not-found", "There is nothing at this address, or it isn't shared with you.")


class RootPath:
    """One form of path inside, whether the proxy in front takes its sub-path away or leaves it on.

    Paths with control characters are nothing of ours, and PostgreSQL can't even look for some of them.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._root_path = settings.root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            if _CONTROL.search(path):
                await JSONResponse(_NOT_FOUND, 404)(scope, receive, send)
                return
            self._set_path(scope, path)
        await self._app(scope, receive, send)

    def _set_path(self, scope: Scope, path: str) -> None:
        root_path = self._root_path
        if root_path:
            scope["root_path"] = root_path
            if path != root_path and not path.startswith(f"{root_path}/"):
                scope["path"] = root_path + path


class KnownHosts:
    """Refuses names that aren't ours: another site's name that leads here could read our pages."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._is_ours = host_rule(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = Headers(scope=scope).getlist("host")
            if len(given) != 1 or not self._is_ours(given[0]):
                log.warning("host_refused", hosts=given, hint="set TELLAPART_BASE_URL to the address that people use")
                await self._refusal(Request(scope))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, request: Request) -> Response:
        message = "This server doesn't know the name in the address bar."
        advice = "Use the address that its owner gave you; the owner sets it with TELLAPART_BASE_URL."
        if wants_page(request):
            return PlainTextResponse(f"{message}\n{advice}\n", 400)
        return JSONResponse(error_body("host-unknown", message, advice), 400)


_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,253})(?::\d{1,5})?")
_EVERYWHERE: Final = ("0.0.0.0", "::")


def host_rule(settings: Settings) -> Callable[[str], bool]:
    """Whether the value of a ``Host`` header names this server; the port doesn't matter."""
    names = {"localhost", "127.0.0.1", "::1", settings.host.lower()}
    if settings.base_url:
        names.add((urlsplit(settings.base_url).hostname or "").lower())
    is_everywhere = settings.host in _EVERYWHERE
    if is_everywhere:
        machine = socket.gethostname().lower()
        names |= {machine, f"{machine.partition('.')[0]}.local", socket.getfqdn().lower()}

    def is_ours(host: str) -> bool:
        matched = _HOST.fullmatch(host)
        if matched is None:
            return False
        name = matched[1].strip("[]").lower().removesuffix(".")
        return name in names or (is_everywhere and _is_address(name))

    return is_ours


def _is_address(name: str) -> bool:
    # Nobody else's site can be reached by our number, so numbers need no list.
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
