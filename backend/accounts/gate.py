"""The gate: every request is refused unless it shows who is calling. Forgetting a route keeps it shut.

One ASGI middleware, so that routes, mounted folders and whatever comes later stand behind it alike.
"""

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

import structlog
from anyio import to_thread
from starlette._utils import get_route_path  # the router's own view of the path: what we judge is what it serves
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.accounts import sessions, tokens
from backend.accounts.cookies import session_cookie
from backend.accounts.guesses import WINDOW, Guesses, network_of
from backend.accounts.scopes import ScopeTooSmall, scope_needed
from backend.caller import Caller, secret_sha256
from backend.db.session import DATABASE_AWAY, Database
from backend.error_handlers import database_busy, error_body, respond
from backend.settings import Settings

log = structlog.get_logger()

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz", "/sign-in"})
OPEN_FOLDER: Final = "/static/"
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PROGRAM_PATHS: Final = ("/api/v1", "/metrics", "/uploads")
_CSRF_FIELD: Final = "csrf_token"
_PEEK_BYTES: Final = 64 * 1024


class Gate:
    """Lets callers through, sends everybody else to the sign-in page or away."""

    def __init__(self, app: ASGIApp, settings: Settings, database: Database) -> None:
        self._app = app
        self._guesses = Guesses()
        self._settings = settings
        self._database = database

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._pass_http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _pass_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        path = get_route_path(scope)
        refusal: Response | None = None
        if is_open(path):
            if scope["method"] not in _SAFE_METHODS and not self._may_come_from_us(request):
                refusal = _forged(request)
        else:
            refusal, receive = await self._judge(request, receive)
        await (refusal or self._app)(scope, receive, send)

    async def _judge(self, request: Request, receive: Receive) -> tuple[Response | None, Receive]:
        try:
            caller = await to_thread.run_sync(self._identify, request)
        except DATABASE_AWAY as error:
            return database_busy(request, error), receive
        if caller is None:
            return self._turn_away(request), receive
        if isinstance(caller, Response):
            return caller, receive
        needed = scope_needed(request.method, get_route_path(request.scope))
        if not caller.scope.includes(needed):
            return _too_small(request, ScopeTooSmall(caller.scope, needed)), receive
        request.scope.setdefault("state", {})["caller"] = caller
        if request.method in _SAFE_METHODS or not caller.csrf_token:
            return None, receive
        if not self._comes_from_us(request):
            return _forged(request), receive
        sent, receive = await _sent_csrf_token(request, receive)
        if not hmac.compare_digest(sent.encode(), caller.csrf_token.encode()):
            return _forged(request), receive
        return None, receive

    def _identify(self, request: Request) -> Caller | Response | None:
        """The caller; nobody; or what to answer to an address that has sent too many wrong tokens."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":  # a program, whatever cookies it sends along
            return self._by_token(request, secret.strip())
        cookie = request.cookies.get(session_cookie(self._settings).name)
        return sessions.find_session(self._database, cookie) if cookie else None

    def _by_token(self, request: Request, secret: str) -> Caller | Response | None:
        caller = tokens.authenticate(self._database, secret)
        address = network_of(request.client.host if request.client else None)
        ask = self._guesses.is_wrong_too_often if caller is None else self._guesses.must_wait
        if ask(address, secret_sha256(secret)):
            log.warning("too_many_wrong_tokens", address=address)
            return JSONResponse(_TOO_OFTEN, 429, headers={"Retry-After": str(int(WINDOW.total_seconds()))})
        return caller

    def _turn_away(self, request: Request) -> Response:
        path = get_route_path(request.scope)
        if is_for_programs(path):
            return JSONResponse(_NOT_SIGNED_IN, 401, headers={"WWW-Authenticate": "Bearer"})
        target = f"{self._settings.root_path}/sign-in"
        if request.headers.get("hx-request") == "true":
            # A redirect would put the sign-in page into a corner of the present one.
            seen = urlsplit(request.headers.get("hx-current-url", "")).path
            return Response(status_code=401, headers={"HX-Redirect": _with_next(target, seen)})
        if request.method not in _SAFE_METHODS:
            # Back to the page whose form it was: what was typed is put back there.
            page = urlsplit(request.headers.get("referer", "")) if self._comes_from_us(request) else urlsplit("")
            return RedirectResponse(_with_next(target, page.path + (f"?{page.query}" if page.query else "")), 303)
        query = request.scope["query_string"].decode("latin-1")
        here = self._settings.root_path + path + (f"?{query}" if query else "")
        return RedirectResponse(_with_next(target, here), 303)

    def _may_come_from_us(self, request: Request) -> bool:
        """For open pages: nothing says that another site sent it."""
        says = {"sec-fetch-site", "origin"} & set(request.headers.keys())
        return not says or self._comes_from_us(request)

    def _comes_from_us(self, request: Request) -> bool:
        site = request.headers.get("sec-fetch-site")
        if site is not None:
            return site in ("same-origin", "none")
        # Browsers leave Sec-Fetch-Site out on plain http, but send the origin.
        return request.headers.get("origin") in _own_origins(request.scope, request.headers, self._settings)


def is_open(path: str) -> bool:
    """Whether anybody may see this address. All that is open stands here."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDER)


def is_for_programs(path: str) -> bool:
    """Whether programs call this address, to which a sign-in page would be no answer."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in _PROGRAM_PATHS)


def _own_origins(scope: Scope, headers: Mapping[str, str], settings: Settings) -> set[str]:
    own = {f"{scope.get('scheme', 'http')}://{headers.get('host', '')}"}
    if settings.base_url:
        parts = urlsplit(settings.base_url)
        own.add(f"{parts.scheme}://{parts.netloc}")
    return own


def _with_next(target: str, here: str) -> str:
    return f"{target}?next={quote(here, safe='/')}" if here.strip("/") else target


async def _sent_csrf_token(request: Request, receive: Receive) -> tuple[str, Receive]:
    """The token in the header or in a form's first fields; and the body, unread again."""
    header = request.headers.get("x-csrf-token")
    if header is not None:
        return header, receive
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/x-www-form-urlencoded"):
        start, receive = await _peek(receive)
        fields = parse_qsl(start.decode("latin-1"), max_num_fields=1000, separator="&")
        return next((value for name, value in fields if name == _CSRF_FIELD), ""), receive
    if kind.startswith("multipart/form-data"):
        start, receive = await _peek(receive)
        return _first_part(start), receive
    return "", receive


def _first_part(start: bytes) -> str:
    """Value of the token's part, which has to come before the files: those may be large."""
    head, _, rest = start.partition(b"\r\n\r\n")
    if b'name="' + _CSRF_FIELD.encode() + b'"' not in head:
        return ""
    return rest.partition(b"\r\n")[0].decode("latin-1")


async def _peek(receive: Receive) -> tuple[bytes, Receive]:
    """The first bytes of a body, and a ``receive`` that gives them again."""
    seen: list[Message] = []
    start = b""
    while len(start) < _PEEK_BYTES:
        message = await receive()
        seen.append(message)
        start += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body", False):
            break

    async def again() -> Message:
        return seen.pop(0) if seen else await receive()

    return start, again


def _forged(request: Request) -> Response:
    log.warning(
        "request_from_elsewhere",
        path=request.scope["path"],
        origin=request.headers.get("origin"),
        site=request.headers.get("sec-fetch-site"),
    )
    body = error_body(
        "request-from-elsewhere",
        "This request didn't come from a page of this server that is up to date. Nothing was changed.",
        "Load the page again and repeat what you did. Behind a proxy, TELLAPART_BASE_URL has to be the address in "
        "your browser.",
    )
    return respond(request, 403, body)


def _too_small(request: Request, error: ScopeTooSmall) -> Response:
    return respond(request, 403, error_body(error.code, error.message, error.advice, error.details))


_TOO_OFTEN: Final = error_body(
    "too-often",
    "Too many wrong tokens came from this address.",
    "Wait a minute, and check the token that your program sends.",
)
_NOT_SIGNED_IN: Final = error_body(
    "not-signed-in",
    "This address needs a token, and the one that was sent, if any, is unknown or no longer works.",
    "Send a token in the header “Authorization: Bearer …”; on the server, `tellapart token` shows the owner's.",
)
