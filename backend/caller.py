"""Who is calling: what the gate found out about a request, and what pages need of it."""

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from backend.domain.ids import TokenId
from backend.domain.scopes import TokenScope


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a token. ``csrf_token`` is empty for programs, which send their token each time."""

    token_id: TokenId
    is_owner: bool
    scope: TokenScope
    session_sha256: str = ""
    csrf_token: str = ""


def secret_sha256(secret: str) -> str:
    """What is kept of a token or a cookie. They are 256 random bits, so no slow hash is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def csrf_token_of(session_secret: str) -> str:
    """The token that a page of this session sends along with each change."""
    return hmac.new(session_secret.encode("utf-8", "surrogateescape"), b"csrf", hashlib.sha256).hexdigest()


def caller_of(request: Request) -> Caller | None:
    """The caller that the gate let through; nobody on the few open pages."""
    found = request.scope.get("state", {}).get("caller")
    assert found is None or isinstance(found, Caller)
    return found


def csrf_token(request: Request) -> str:
    """For templates: the content of ``<meta name="csrf-token">`` and of the hidden first field of a form."""
    caller = caller_of(request)
    return caller.csrf_token if caller else ""


async def _caller(request: Request) -> Caller:
    caller = caller_of(request)
    assert caller is not None, "the gate lets nobody through to here"
    return caller


CallerDep = Annotated[Caller, Depends(_caller)]
