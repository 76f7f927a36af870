"""How large a request's body may be, and how much its JSON may hold; both are known before anything is made of it."""

import json
import re
from collections.abc import Callable, Coroutine
from typing import Any, Final

from anyio import to_thread
from fastapi.routing import APIRoute
from starlette._utils import get_route_path
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.error_handlers import error_body, respond

SMALL_BODY: Final = 256 * 1024
"""Orders and forms: a few numbers and names."""
LABELS_BODY: Final = 8 * 1024 * 1024
"""A label for each of about 100,000 pictures; a longer list comes as a table among the pictures."""
_LABELS: Final = ("/labels", "/labels/preview", "/labels/show", "/labels/suggestions", "/versions")
TABLE_BODY: Final = 32 * 1024 * 1024
"""Labels of a million pictures as CSV."""
_TABLES: Final = ("/labels.csv",)
PICTURES_BODY: Final = 256 * 1024 * 1024
_PICTURES: Final = ("/predictions", "/try")
_UPLOADS: Final = ("/images", "/archive")
MOST_PARTS: Final = 1000
"""Lists and objects in a JSON body. A real one has a few dozen; a report of millions of wrong ones fills the memory."""
MOST_CHANGES: Final = 20_000
"""The same where labels of pictures are changed, each by an object of its own."""
_PARSED_IN_THREAD: Final = 64 * 1024
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


class BodyLimit:
    """Ends a request whose body is larger than its address takes. Uploads watch their own size."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = body_limit(scope) if scope["type"] == "http" else None
        if limit is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        announced = request.headers.get("content-length", "0")
        if not announced.isascii() or not announced.isdecimal() or int(announced) > limit:
            await _too_large(request, limit)(scope, receive, send)
            return
        receive = _counting(receive, limit)
        try:
            if _is_json(request):
                body = await _whole(receive)
                most = most_parts(scope)
                if await _has_too_many_parts(body, most):
                    await _too_many_parts(request, most)(scope, receive, send)
                    return
                receive = read_again(body, receive)
            await self._app(scope, receive, send)
        except HTTPException:  # read by a middleware, outside of the place where errors become answers
            await _too_large(request, limit)(scope, receive, send)


class LargeJsonRoute(APIRoute):
    """A route whose JSON may be large: it is parsed in a thread, so that other requests go on."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, with our request (Any: the coroutine's own business)."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(_JsonRequest(request.scope, request.receive))

        return handle


class _JsonRequest(Request):
    async def json(self) -> Any:  # Any: as in Starlette's
        body = await self.body()
        if len(body) <= _PARSED_IN_THREAD:
            return json.loads(body)
        return await to_thread.run_sync(json.loads, body)


def body_limit(scope: Scope) -> int | None:
    """How many bytes a request may have; None where files are taken."""
    path = get_route_path(scope)
    if path.endswith(_PICTURES):
        return PICTURES_BODY
    is_form = Headers(scope=scope).get("content-type", "").startswith("multipart/form-data")
    if path.endswith(_UPLOADS) or (is_form and not path.startswith("/api/") and path != "/sign-in"):
        return None
    if path.endswith(_TABLES):
        return TABLE_BODY
    return LABELS_BODY if path.endswith(_LABELS) else SMALL_BODY


def most_parts(scope: Scope) -> int:
    """How many lists and objects the JSON of a request may hold."""
    is_change = scope["method"] == "PATCH" and get_route_path(scope).endswith("/labels")
    return MOST_CHANGES if is_change else MOST_PARTS


def read_again(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives a body that was read already, then whatever comes after it."""
    is_given = False

    async def again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _is_json(request: Request) -> bool:
    return "json" in request.headers.get("content-type", "").partition(";")[0].lower()


async def _whole(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        # A caller that goes away in the middle gets no answer, whatever is made of the rest.
        if message["type"] != "http.request" or not message.get("more_body", False):
            return bytes(body)


async def _has_too_many_parts(body: bytes, most: int) -> bool:
    if body.count(b"[") + body.count(b"{") <= most:
        return False
    # Brackets in names don't count; leaving the names out takes longer.
    return await to_thread.run_sync(_parts, body) > most


def _parts(body: bytes) -> int:
    bare = _STRING.sub(b"", body)
    return bare.count(b"[") + bare.count(b"{")


def _counting(receive: Receive, limit: int) -> Receive:
    received = 0

    async def count() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise HTTPException(413)
        return message

    return count


def _too_large(request: Request, limit: int) -> Response:
    is_list = limit == LABELS_BODY
    size = f"{limit // 1024} kB" if limit < 1024 * 1024 else f"{limit // 1024 // 1024} MB"
    message = f"This request is larger than the {size} that this address accepts."
    advice = "Upload the labels as a CSV table with the pictures, and use it." if is_list else "Send less at once."
    return respond(request, 413, error_body("too-large", message, advice, {"limit_bytes": limit}))


def _too_many_parts(request: Request, most: int) -> Response:
    message = f"This JSON has more than {most} lists and objects in it, which no request here needs."
    advice = "Send fewer changes at once, or all as CSV to labels.csv." if most == MOST_CHANGES else ""
    return respond(request, 413, error_body("too-many-parts", message, advice or "Check what your program sends."))
