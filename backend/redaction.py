"""Keep secrets out of the log, and every line of it small.

Processors of structlog, the last before an event becomes text. A secret is found in three ways: by the name of its
field, by what stands before it (``Bearer …``, ``token=…``), and because the present request brought it.
"""

import re
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

HIDDEN: Final = "(hidden)"
LARGEST_EXCEPTION: Final = 6000
"""Bytes of a traceback that are logged; its end says most."""
LARGEST_TEXT: Final = 1000
"""Bytes of any other text."""
LARGEST_REST: Final = 2000
"""Bytes of all fields together, the traceback left out."""

_SECRET_FIELDS: Final = frozenset(
    {"token", "key", "secret", "password", "authorization", "cookie", "set_cookie", "csrf_token", "idempotency_key"}
)
_SECRET_TEXT: Final = re.compile(
    r"(?i)\b(?P<before>(?:bearer|basic)\s+|(?:token|key|password|secret|csrf_token|sid)[\"']?\s*[=:]\s*[\"']?)"
    r"[^\s\"'&;,)\]}]{8,}"
)
_URL_PASSWORD: Final = re.compile(r"(?P<before>\w://[^\s/:@]*:)[^\s/@]+(?=@)")
_SHORTEST: Final = 8
"""A shorter text is no secret of ours, and hiding it would hide words."""

_secrets: ContextVar[set[str] | None] = ContextVar("secrets_of_the_request", default=None)


@contextmanager
def hiding(secrets: Iterable[str]) -> Iterator[None]:
    """Whatever is logged in this block, also in threads that it starts, has none of ``secrets`` in it."""
    reset = _secrets.set(set())
    try:
        hide(*secrets)
        yield
    finally:
        _secrets.reset(reset)


def hide(*secrets: str) -> None:
    """Keep these out of the rest of the present request's lines."""
    known = _secrets.get()
    if known is not None:
        known.update(secret for secret in secrets if len(secret) >= _SHORTEST)


def hide_secrets(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put a placeholder for each secret (Any: structlog's own signature)."""
    for field, value in event.items():
        if field.startswith("_"):  # structlog's own, such as the record of another library
            continue
        event[field] = HIDDEN if field.lower() in _SECRET_FIELDS else _without_secrets(value)
    return event


def shorten(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Cut long texts and leave out what would make the line large (Any: structlog's own signature)."""
    left = LARGEST_REST
    for field, value in event.items():
        if field.startswith("_"):
            continue
        if field == "exception":
            event[field] = _cut(str(value), LARGEST_EXCEPTION)
            continue
        if not isinstance(value, int | float | None):
            text = value if isinstance(value, str) else repr(value)
            size = len(text.encode(errors="replace"))
            if size > min(LARGEST_TEXT, left):
                event[field] = _cut(text, LARGEST_TEXT) if left >= LARGEST_TEXT else f"({size} bytes left out)"
            left -= min(size, LARGEST_TEXT)
    return event


def _without_secrets(value: Any) -> Any:  # Any: whatever somebody logs
    match value:
        case str():
            for secret in _secrets.get() or ():
                value = value.replace(secret, HIDDEN)
            return _URL_PASSWORD.sub(rf"\g<before>{HIDDEN}", _SECRET_TEXT.sub(rf"\g<before>{HIDDEN}", value))
        case dict():
            return {
                key: HIDDEN if str(key).lower() in _SECRET_FIELDS else _without_secrets(one)
                for key, one in value.items()
            }
        case list() | tuple():
            return [_without_secrets(one) for one in value]
        case bool() | int() | float() | None:
            return value
        case other:
            return _without_secrets(str(other))


def _cut(text: str, size: int) -> str:
    """The first quarter and the end, at most ``size`` bytes of text."""
    raw = text.encode(errors="replace")
    if len(raw) <= size:
        return text
    start, end = raw[: size // 4], raw[len(raw) - (size - size // 4) :]
    left_out = len(raw) - size
    return f"{start.decode(errors='ignore')} … ({left_out} bytes left out) … {end.decode(errors='ignore')}"
