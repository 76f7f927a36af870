"""Routes of the tus protocol: each answer, refusals included, carries the protocol's headers."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

import anyio
from fastapi import Request
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from backend.domain.errors import AppError
from backend.error_handlers import error_body, respond, status_of
from backend.uploads.errors import ProtocolError, VersionUnsupported
from backend.uploads.headers import VERSION

_LEFT_UNREAD: Final = 64 << 20
_DRAINED_WITHIN_S: Final = 2.0


class TusRoute(APIRoute):
    """A route that insists on the protocol's version, and words refusals as the protocol has them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler within ours (Any: the coroutine's own business)."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                if request.headers.get("tus-resumable") != VERSION:
                    raise VersionUnsupported(VERSION)
                response = await handler(request)
            except AppError as error:
                await _drain(request)
                response = _refusal(request, error)
            response.headers["Tus-Resumable"] = VERSION
            return response

        return handle


def _refusal(request: Request, error: AppError) -> Response:
    body = error_body(error.code, error.message, error.advice, error.details)
    if isinstance(error, ProtocolError):
        return respond(request, error.status, body, error.headers)
    status = status_of(error)
    return respond(request, status, body, {"Retry-After": "5"} if status == 503 else {})


async def _drain(request: Request) -> None:
    """Read what is still on its way: a connection that is closed over unread bytes may lose its answer."""
    if request.method not in ("PATCH", "POST"):
        return
    unread = 0
    with anyio.move_on_after(_DRAINED_WITHIN_S):
        try:
            async for chunk in request.stream():
                unread += len(chunk)
                if unread > _LEFT_UNREAD:
                    return
        except (ClientDisconnect, RuntimeError):  # gone, or read to its end already
            return
