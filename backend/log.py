"""One log: lines for people at a terminal, JSON for machines. Never a secret, a query string or a local variable."""

import io
import logging
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, TextIO, cast
from urllib.parse import parse_qsl

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend import redaction

_QUIET: Final = frozenset({"/healthz", "/readyz", "/session"})

_SECRET_PARAMETERS: Final = frozenset({"token", "key", "code"})

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
        # As Python prints it: a renderer of its own would add local variables, and with them keys and pictures.
        structlog.processors.format_exc_info,
        redaction.hide_secrets,
        redaction.shorten,
    ]
    rendering: list[Any] = (
        [structlog.processors.JSONRenderer(ensure_ascii=False)]
        if is_json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    output = cast(TextIO, _Output(sys.stderr))  # all that is asked of it is to write
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(output),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(formatter)
    handler.addFilter(_is_no_second_report)
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

        with structlog.contextvars.bound_contextvars(request_id=request_id), redaction.hiding(_secrets_of(scope)):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                _line(scope, status, time.perf_counter() - started)


class _Output(io.TextIOBase):
    """The log's file. One that can't be written, on a full disk or in a closed window, must not end the work."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand it on, if possible."""
        with suppress(OSError):
            self._file.flush()


def _secrets_of(scope: Scope) -> Iterator[str]:
    """Keys, cookies and query values that a request brings."""
    headers = Headers(scope=scope)
    yield headers.get("authorization", "").partition(" ")[2].strip()
    yield headers.get("x-csrf-token", "")
    yield from cookie_parser(headers.get("cookie", "")).values()
    query = scope["query_string"].decode("latin-1")
    yield from (value for name, value in parse_qsl(query, max_num_fields=None) if name in _SECRET_PARAMETERS)


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


def _is_no_second_report(record: logging.LogRecord) -> bool:
    """Leave out what our own handler of bugs has logged already, with its id."""
    return not record.getMessage().startswith("Exception in ASGI application")
