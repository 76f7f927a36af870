"""Requests that may be repeated: with an ``Idempotency-Key`` the second one gets the first one's answer.

A client that lost the answer can't know whether the thing was made. It sends the same
request with the same key again, for a day, and nothing is made twice.
"""

import hashlib
import json
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from anyio import to_thread
from sqlalchemy.exc import IntegrityError
from starlette._utils import get_route_path
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.accounts.repository import KeptAnswerRepository
from backend.bodies import read_again
from backend.caller import caller_of
from backend.db.base import utc_now
from backend.db.session import DATABASE_AWAY, Database
from backend.error_handlers import database_busy, error_body
from backend.tables.accounts import KeptAnswerRow

KEPT_FOR: Final = timedelta(days=1)
ABANDONED_AFTER: Final = timedelta(minutes=1)
"""A request that has no answer by then died with its server; its twin may try."""
LARGEST_KEPT: Final = 2 * 1024 * 1024
_TOKENS: Final = "/api/v1/tokens"
_RESUMABLE: Final = "/api/v1/uploads"
"""What it announces stands in headers, and its answer's too; the protocol has its own way to repeat."""


@dataclass(frozen=True, slots=True)
class Proceed:
    """Nobody has asked this before."""


@dataclass(frozen=True, slots=True)
class Replay:
    """It was answered before."""

    status: int
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class InProgress:
    """Its twin is being worked on at this moment."""


@dataclass(frozen=True, slots=True)
class KeyReused:
    """The key came with another request before."""


Standing = Proceed | Replay | InProgress | KeyReused


def stand(database: Database, key_sha256: str, request_sha256: str) -> Standing:
    """How a request with a key stands; where it may proceed, its place is kept."""
    now = utc_now()
    try:
        with database.write() as session:
            answers = KeptAnswerRepository(session)
            answers.purge(now - KEPT_FOR)
            row = answers.get(key_sha256)
            if row is not None and row.status is None and row.created_at < now - ABANDONED_AFTER:
                answers.delete(key_sha256)
                session.expunge(row)
                row = None
            if row is None:
                answers.add(KeptAnswerRow(sha256=key_sha256, request_sha256=request_sha256, created_at=now))
                return Proceed()
            return _standing_of(row, request_sha256)
    except IntegrityError:
        return InProgress()


def keep(database: Database, key_sha256: str, answer: Replay) -> None:
    """Keep the answer of a request that was let through."""
    with database.write() as session:
        KeptAnswerRepository(session).fill(key_sha256, answer.status, answer.media_type, answer.body)


def touch(database: Database, key_sha256: str) -> None:
    """Note that a request is still being worked on."""
    with database.write() as session:
        KeptAnswerRepository(session).touch(key_sha256, utc_now())


def forget(database: Database, key_sha256: str) -> None:
    """Free the key of a request that made nothing, so that it may be tried again."""
    with database.write() as session:
        KeptAnswerRepository(session).delete(key_sha256)


def _standing_of(row: KeptAnswerRow, request_sha256: str) -> Standing:
    if row.request_sha256 != request_sha256:
        return KeyReused()
    if row.status is None:
        return InProgress()
    return Replay(row.status, row.media_type or "", row.body or b"")


class Repeats:
    """The middleware: stands behind the gate, takes part only in POSTs of JSON or archives that carry a key."""

    def __init__(self, app: ASGIApp, database: Database) -> None:
        self._app = app
        self._database = database

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive) if scope["type"] == "http" else None
        key = request.headers.get("idempotency-key") if request else None
        if request is None or key is None or not _takes_key(request):
            await self._app(scope, receive, send)
        elif not (0 < len(key) <= 255 and key.isprintable()):
            await _KEY_UNUSABLE(scope, receive, send)
        else:
            await self._answer(request, key, send)

    async def _answer(self, request: Request, key: str, send: Send) -> None:
        scope, key_sha256 = request.scope, _key_sha256(request, key)
        if _is_archive(request):  # too large to be kept; two of the same size and kind count as the same
            body = b"\0".join(request.headers.get(name, "").encode() for name in ("content-length", "content-type"))
            receive = self._staying(request.receive, key_sha256)
        else:
            body = await request.body()
            receive = read_again(body, request.receive)
        request_sha256 = hashlib.sha256(scope["query_string"] + b"\0" + body).hexdigest()
        try:
            standing = await to_thread.run_sync(stand, self._database, key_sha256, request_sha256)
        except DATABASE_AWAY as error:
            await database_busy(request, error)(scope, request.receive, send)
            return
        match standing:
            case Proceed():
                await self._work(request, receive, key_sha256, send)
            case Replay(status, media_type, kept):
                headers = {"Content-Type": media_type, "Idempotency-Replayed": "true"}
                await Response(kept, status, headers=headers)(scope, request.receive, send)
            case InProgress():
                await _IN_PROGRESS(scope, request.receive, send)
            case KeyReused():
                await _KEY_REUSED(scope, request.receive, send)

    def _staying(self, receive: Receive, key_sha256: str) -> Receive:
        """A ``receive`` that says from time to time that the request goes on, however long its upload takes."""
        noted = time.monotonic()

        async def receive_and_note() -> Message:
            nonlocal noted
            message = await receive()
            if time.monotonic() - noted > ABANDONED_AFTER.total_seconds() / 3:
                noted = time.monotonic()
                await to_thread.run_sync(touch, self._database, key_sha256)
            return message

        return receive_and_note

    async def _work(self, request: Request, receive: Receive, key_sha256: str, send: Send) -> None:
        """Answer once, and keep the answer before it leaves: a client that never sees it will ask again."""
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        try:
            await self._app(request.scope, receive, hold)
            answer = _answer_in(held, get_route_path(request.scope))
            if answer is None:
                await to_thread.run_sync(forget, self._database, key_sha256)
            else:
                await to_thread.run_sync(keep, self._database, key_sha256, answer)
        except BaseException:
            await to_thread.run_sync(forget, self._database, key_sha256)
            raise
        finally:
            for message in held:
                await send(message)


def _takes_key(request: Request) -> bool:
    path = get_route_path(request.scope)
    if request.method != "POST" or not path.startswith("/api/") or path == _RESUMABLE:
        return False
    if _is_archive(request):
        return True
    kind = request.headers.get("content-type", "")
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    return kind.startswith("application/json") or not has_body


def _is_archive(request: Request) -> bool:
    return get_route_path(request.scope).endswith("/archive")


def _key_sha256(request: Request, key: str) -> str:
    caller = caller_of(request)
    assert caller is not None, "stands behind the gate"
    said = json.dumps([caller.token_id, get_route_path(request.scope), key])
    return hashlib.sha256(said.encode()).hexdigest()


def _answer_in(held: list[Message], path: str) -> Replay | None:
    """What is to be kept; nothing of a refusal (the next try may be luckier) or of what is very large.

    Of a new token never its secret: a second try learns that it was made.
    """
    if not held:
        return None
    status: int = held[0]["status"]
    headers = dict(held[0]["headers"])
    body = b"".join(message.get("body", b"") for message in held[1:])
    if status >= 400 or len(body) > LARGEST_KEPT:
        return None
    if path == _TOKENS:
        status, body = 409, bytes(_TOKEN_MADE.body)
    return Replay(status, headers.get(b"content-type", b"").decode("latin-1"), body)


_TOKEN_MADE: Final = JSONResponse(
    error_body(
        "token-made-before",
        "This token was made by an earlier request with the same Idempotency-Key. Its secret isn't kept.",
        "If the first answer is lost, take that token away and make another one with a fresh key.",
    ),
    409,
)
_KEY_UNUSABLE: Final = JSONResponse(
    error_body(
        "idempotency-key-unusable", "The Idempotency-Key has to be 1 to 255 plain letters.", "A fresh UUID is best."
    ),
    422,
)
_KEY_REUSED: Final = JSONResponse(
    error_body(
        "idempotency-key-reused",
        "This Idempotency-Key came with a different request before. Nothing was made.",
        "Use a fresh key for each new thing.",
    ),
    422,
)
_IN_PROGRESS: Final = JSONResponse(
    error_body("request-in-progress", "The same request is being worked on at this moment.", "Ask again in a second."),
    409,
    headers={"Retry-After": "1"},
)
