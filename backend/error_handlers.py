"""Error families to HTTP: one table, one shape of JSON, one page."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from sqlite3 import SQLITE_FULL
from typing import Any, Final, cast, get_type_hints

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from psycopg.errors import DiskFull
from pydantic import BaseModel
from pydantic_core import ErrorDetails
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from backend.db.session import DATABASE_AWAY
from backend.domain.errors import (
    AppError,
    Conflict,
    InvalidInput,
    LimitExceeded,
    NoRoom,
    NotAllowed,
    NotFound,
    Unavailable,
    is_disk_full,
)
from backend.fields.problems import Problem, problems

log = structlog.get_logger()

_SAID: Final = 3
"""So many problems of a request are in its message."""
_NAMED: Final = 20
"""So many are in its details."""

STATUS_OF: Mapping[type[AppError], int] = {
    NotAllowed: 403,
    NotFound: 404,
    Conflict: 409,
    LimitExceeded: 413,
    InvalidInput: 422,
    Unavailable: 503,
    NoRoom: 507,
}

_HTTP_WORDS: Mapping[int, tuple[str, str]] = {
    400: ("bad-request", "This request can't be understood."),
    401: ("not-signed-in", "Sign in first, or send a token."),
    403: ("not-allowed", "You may not do this."),
    404: ("not-found", "There is nothing at this address, or it isn't shared with you."),
    405: ("method-not-allowed", "This address doesn't take requests of that kind."),
    413: ("too-large", "This is larger than the server accepts."),
    415: ("media-type-unsupported", "This address doesn't take content of that type."),
    429: ("too-often", "That was too often. Wait a little and try again."),
}


def status_of(error: AppError) -> int:
    """HTTP status of an error's family."""
    return next((status for family, status in STATUS_OF.items() if isinstance(error, family)), 500)


def error_body(code: str, message: str, advice: str = "", details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The one shape of an error (Any: JSON values)."""
    return {"error": {"code": code, "message": message, "advice": advice, "details": dict(details or {})}}


def install(app: FastAPI) -> None:
    """Teach ``app`` to answer errors."""
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    for error in DATABASE_AWAY:
        app.add_exception_handler(error, database_busy)
    app.add_exception_handler(OSError, _disk_error)
    app.add_exception_handler(DataError, _unstorable)
    app.add_exception_handler(UnicodeEncodeError, _unstorable)
    app.add_exception_handler(ClientDisconnect, _gone)
    # Any other exception is a bug: the person gets an id, the log gets the rest.
    app.add_exception_handler(Exception, _bug)


def respond(request: Request, status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """The error as JSON, or as a page where a browser asked for one (Any: JSON values)."""
    if wants_page(request):
        from backend.templating import error_page  # here, because pages need errors as well

        return error_page(request, status, body["error"], headers)
    return JSONResponse(body, status, headers=dict(headers or {}))


def wants_page(request: Request) -> bool:
    """Whether a person's browser asked, and not a program."""
    return "/api/" not in request.scope["path"] and "text/html" in request.headers.get("accept", "")


def _app_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    status = status_of(error)
    headers = {"Retry-After": "5"} if status == 503 else {}
    return respond(request, status, error_body(error.code, error.message, error.advice, error.details), headers)


def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = list(_problems(error.errors()[:_NAMED], request.scope.get("endpoint")))
    message = " ".join(dict.fromkeys(problem.sentence for problem in found[:_SAID]))
    details = [{"field": ".".join(map(str, problem.path)), "problem": problem.sentence} for problem in found]
    body = error_body("invalid-input", message, "Correct it and send it again.", {"problems": details})
    return respond(request, 422, body)


def _problems(errors: Sequence[Any], endpoint: object) -> Iterator[Problem]:  # Any: pydantic's ErrorDetails
    """What is wrong with a request; the first part of an error's location is where in the request it was found."""
    hints = get_type_hints(endpoint, include_extras=True) if callable(endpoint) else {}
    parameters = {_name_in_request(name, hint): hint for name, hint in hints.items()}
    body = next((one for one in parameters.values() if isinstance(one, type) and issubclass(one, BaseModel)), None)
    for source, some in groupby(errors, key=lambda error: error["loc"][0]):
        inner = [{**error, "loc": error["loc"][1:]} for error in some]
        yield from problems(cast("list[ErrorDetails]", inner), body if source == "body" else parameters)


def _name_in_request(name: str, hint: Any) -> str:  # Any: a type
    """What a parameter is called in requests, which isn't always what the function calls it."""
    aliases = (getattr(extra, "alias", None) for extra in getattr(hint, "__metadata__", ()))
    return next(filter(None, aliases), name)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, message = _HTTP_WORDS.get(error.status_code, ("http-error", str(error.detail)))
    # The router names the methods of the first route that fits, and others may be at the same address.
    headers = {"Allow": ", ".join(_methods(request))} if error.status_code == 405 else error.headers
    return respond(request, error.status_code, error_body(code, message), headers)


def _methods(request: Request) -> list[str]:
    routes = request.app.router.routes
    return [
        method
        for method in ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]


def database_busy(request: Request, error: Exception) -> Response:
    """The database is down, overrun or out of room: nobody's mistake, and it passes."""
    log.warning("database_unavailable", error=str(error))
    if _is_out_of_room(error):
        return _app_error(request, NoRoom())
    body = error_body(
        "database-unavailable", "The database doesn't answer at the moment. Your data is untouched.", "Try again."
    )
    return respond(request, 503, body, {"Retry-After": "5"})


def _is_out_of_room(error: Exception) -> bool:
    """Whether SQLite or PostgreSQL could not write for want of disk space."""
    cause = getattr(error, "orig", None)
    return getattr(cause, "sqlite_errorcode", None) == SQLITE_FULL or isinstance(cause, DiskFull)


def _disk_error(request: Request, error: Exception) -> Response:
    """A disk that filled up while something was written is nobody's mistake; any other failure of a file is a bug."""
    if is_disk_full(error):
        log.warning("disk_full", path=request.scope["path"], error=str(error))
        return _app_error(request, NoRoom())
    return _bug(request, error)


def _unstorable(request: Request, error: Exception) -> Response:
    """A text with a NUL or half a character, or a number beyond 64 bits: PostgreSQL takes neither."""
    log.warning("value_unstorable", path=request.scope["path"], error=type(error).__name__)
    message = "Something in this request can't be stored: a text with signs that aren't letters, or too large a number."
    return respond(request, 422, error_body("value-unstorable", message, "Correct it and send it again."))


def _gone(request: Request, error: Exception) -> Response:
    """Whoever sent this went away in the middle; nobody reads the answer, and it is no bug."""
    return Response(status_code=400)


def _bug(request: Request, error: Exception) -> Response:
    bug_id = uuid.uuid4().hex[:12]
    log.error("bug", bug_id=bug_id, path=request.scope["path"], exc_info=error)
    message = f"This is our mistake ({bug_id}). Your data is as before."
    return respond(request, 500, error_body("bug", message, "Try again; if it stays, send us this number."))
