"""The OpenAPI document, true to what is answered.

FastAPI's own knows neither the form of our errors nor what stands before a route: the gate, limits, repeated requests.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from backend.accounts.gate import is_open
from backend.domain.json import Json
from backend.version import version

_DESCRIPTION: Final = (
    "What the pages do, programs do by these calls. Send a token as `Authorization: Bearer TOKEN`. Every error has the "
    "same shape; a 500 is our mistake and carries a number to report."
)
_TAGS: Final[Mapping[str, str]] = {
    "datasets": "Pictures: bring them in, list and remove them.",
    "uploads": "Archives and large files that continue where they were cut off (tus 1.0).",
    "labels and versions": "Labels that follow from paths, and frozen versions to train on.",
    "runs": "Trainings and searches for a learning rate.",
    "understanding": "How well a model does, and on which pictures it is wrong.",
    "models": "Checkpoints: predictions and files to use elsewhere.",
    "tokens": "Keys for programs.",
    "server": "Health, readiness, metrics, workers and disk.",
}
_ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("BadRequest", "The request can't be understood."),
    401: ("NotSignedIn", "No token was sent, or it is unknown or no longer works."),
    403: ("NotAllowed", "The token's scope is too small, or another site's page sent the request."),
    404: ("NotFound", "There is no such thing."),
    409: ("Conflict", "It contradicts the present state, or the same request is being worked on."),
    410: ("Expired", "Nothing came for it for a week, so it was deleted."),
    412: ("WrongVersion", "Another version of the tus protocol, or none, was named."),
    413: ("TooLarge", "The request is larger than this address accepts."),
    415: ("WrongType", "The body isn't announced as the bytes of an upload."),
    422: ("Invalid", "Something in the request can't be used; `details.problems` names each field."),
    423: ("Busy", "Another connection is sending the same file at the moment."),
    429: ("TooOften", "Too many wrong tokens came from this address."),
    460: ("ChecksumMismatch", "The bytes were changed on their way, and not kept."),
    503: ("Unavailable", "A part of the server doesn't answer at the moment."),
    507: ("NoRoom", "The server's disk is full."),
}
_WAITS: Final = frozenset({423, 429, 503})
_RESUMABLE: Final = "/api/v1/uploads"
_HAVE_STATES: Final = ("/api/v1/runs/{", "/api/v1/checkpoints/{", "/api/v1/versions/{", "/api/v1/datasets/{")
_ERROR: Final[dict[str, Json]] = {
    "type": "object",
    "description": "What went wrong, and what to do about it.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "advice", "details"],
            "properties": {
                "code": {"type": "string", "description": "A stable name for programs, such as `dataset-not-found`."},
                "message": {"type": "string", "description": "What happened, in one sentence."},
                "advice": {"type": "string", "description": "What to do now; empty where nothing can be done."},
                "details": {"type": "object", "description": "More for programs."},
            },
        }
    },
}
_IDEMPOTENCY_KEY: Final[dict[str, Json]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Any text, best a fresh UUID. For a day the same key gets the same answer; nothing is made twice.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def install(app: FastAPI) -> None:
    """Have ``app`` serve our document."""

    def document() -> dict[str, Any]:  # Any: as in FastAPI
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # as FastAPI's documentation says


def _document(app: FastAPI) -> dict[str, Any]:
    plain = get_openapi(title="Tellapart", version=version(), description=_DESCRIPTION, routes=app.routes)
    found: dict[str, Any] = json.loads(_renamed(json.dumps(plain)))
    components = found["components"]
    for generated in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(generated, None)
    for schema in components["schemas"].values():
        _drop_titles(schema)
    components["schemas"]["Error"] = _ERROR
    components["responses"] = {name: _response(status, words) for status, (name, words) in _ERRORS.items()}
    components["parameters"] = {"IdempotencyKey": _IDEMPOTENCY_KEY}
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "description": "A token."}}
    used = {tag for calls in found["paths"].values() for call in calls.values() for tag in call.get("tags", ())}
    found["tags"] = [{"name": name, "description": words} for name, words in _TAGS.items() if name in used]
    for path, calls in found["paths"].items():
        for method, call in calls.items():
            _complete(path, method, call)
    return found


def _renamed(text: str) -> str:
    """The document with our names in place of those that are made of Python's."""
    text = re.sub(r"\bPage_(\w+?)_(?=\")", r"\1Page", text)
    return re.sub(r"\bbackend__(\w+?)__schemas__(\w+?)(?=\")", lambda found: found[1].title() + found[2], text)


def _complete(path: str, method: str, call: dict[str, Any]) -> None:
    title, _, rest = call.get("description", "").partition(". ")
    call["summary"], call["description"] = title.split("\n\n")[0].rstrip("."), rest or call.get("description", "")
    for parameter in call.get("parameters", ()):
        _drop_titles(parameter["schema"])
    answers = call["responses"]
    answers.pop("422", None) if not call.get("parameters") and "requestBody" not in call else None
    if method == "post" and _takes_key(path, call):
        call.setdefault("parameters", []).append({"$ref": "#/components/parameters/IdempotencyKey"})
    for status in _statuses(path, method, call):
        if str(status) not in answers or status == 422:
            answers[str(status)] = {"$ref": f"#/components/responses/{_ERRORS[status][0]}"}
    for status, answer in answers.items():
        if answer.get("description") == "Successful Response":
            answer["description"] = _GOOD.get(status, "Done.")
    call["security"] = [] if is_open(path) else [{"token": []}]


def _takes_key(path: str, call: dict[str, Any]) -> bool:
    is_json = "requestBody" not in call or "application/json" in call["requestBody"]["content"]
    return path.startswith("/api/") and (is_json or path.endswith("/archive"))


_GOOD: Final = {"200": "The answer.", "201": "Made.", "202": "Accepted; it is done in the background.", "204": "Done."}


def _statuses(path: str, method: str, call: dict[str, Any]) -> list[int]:
    """The errors that this call can have."""
    changes, has_body = method not in ("get", "options"), "requestBody" in call
    is_tus = path.startswith(_RESUMABLE) and changes
    when = {
        400: has_body or is_tus,
        401: not is_open(path),
        403: changes,
        404: "{" in path or changes or path.endswith("/server-folders") or path == _RESUMABLE,
        409: changes or path.startswith(_HAVE_STATES),
        410: path.startswith(f"{_RESUMABLE}/"),
        412: is_tus,
        413: changes,
        415: is_tus,
        422: has_body or bool(call.get("parameters")),
        423: is_tus,
        429: not is_open(path),
        460: is_tus,
        503: not is_open(path),
        507: changes,
    }
    return [status for status, occurs in when.items() if occurs]


def _response(status: int, words: str) -> dict[str, Json]:
    headers: dict[str, Json] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string"}}}
    content: dict[str, Json] = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"description": words, "content": content, **({"headers": headers} if status in _WAITS else {})}


def _drop_titles(schema: Any) -> None:  # Any: JSON of any form
    """Leave out titles that pydantic makes of names, such as “Expires In Days”."""
    if isinstance(schema, list):
        for one in schema:
            _drop_titles(one)
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("title"), str):
        del schema["title"]
    for name, inner in schema.items():
        if name == "properties":
            for one in inner.values():
                _drop_titles(one)
        elif name not in ("default", "example", "examples", "enum", "const"):
            _drop_titles(inner)
