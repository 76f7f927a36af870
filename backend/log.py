"""One log: lines for people at a terminal, JSON for machines. Never a token, never a query string."""

import logging
import sys
import time
import uuid
from collections.abc import MutableMapping
from typing import Any, Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_QUIET: Final = frozenset({"/healthz", "/readyz"})
_SECRET_KEYS: Final = frozenset({"token", "key", "secret", "password", "authorization", "cookie"})

access_log = structlog.get_logger("access")


def configure(*, as_json: bool | None = None, level: int = logging.INFO) -> None:
    """Set the log up, for this process and for the libraries in it.

    Args:
        as_json: whether a machine reads it; None: unless a terminal does.
        level: the least urgent lines that are shown.
    """
    is_json = not sys.stderr.isatty() if as_json is None else as_json
    shared: list[Any] = [  # Any: structlog's processors have no common type
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide_secrets,
    ]
    rendering: list[Any] = (
        [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
        if is_json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    handler.addFilter(_told_already)
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    # uvicorn writes whole URLs, and with them the token of a sign-in link; our own line doesn't.
    logging.getLogger("uvicorn.access").disabled = True


class RequestLog:
    """One line a request, and an id that ties together whatever is logged on its way."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex[:12]
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                _line(scope, status, time.perf_counter() - started)


def _line(scope: Scope, status: int, seconds: float) -> None:
    path: str = scope["path"]
    if path in _QUIET:
        return
    client = scope.get("client")
    access_log.info(
        "request",
        method=scope["method"],
        path=path,
        status=status,
        duration_ms=round(seconds * 1000, 1),
        client=client[0] if client else None,
    )


def _hide_secrets(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # Any: structlog's own signature
    for key in _SECRET_KEYS & event.keys():
        event[key] = "(hidden)"
    return event


def _told_already(record: logging.LogRecord) -> bool:
    """Leave out what our own handler of bugs has told, with its id."""
    return not record.getMessage().startswith("Exception in ASGI application")
