"""The pages of the API: what the OpenAPI document says, arranged to be read."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from backend.domain.json import Json

_DEPTH: Final = 4
"""So deep an example shows what is in what."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of the address or a header. ``kind`` is its type in a few words."""

    name: str
    where: str
    kind: str
    is_required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What may come back; ``example`` has the form of its JSON, empty where there is none."""

    status: str
    description: str
    example: str


@dataclass(frozen=True, slots=True)
class Call:
    """One method at one address. ``body`` is an example of the JSON to send; ``curl`` a command to begin with."""

    id: str
    method: str
    path: str
    title: str
    description: str
    parameters: Sequence[Parameter]
    body: str
    curl: str
    answers: Sequence[Answer]


@dataclass(frozen=True, slots=True)
class Group:
    """Calls about the same things."""

    name: str
    description: str
    calls: Sequence[Call]


def reference(document: Mapping[str, Any], base: str) -> list[Group]:
    """All calls of an OpenAPI document, in groups (Any: JSON values).

    Args:
        base: address of the server, for commands.
    """
    reader = _Reader(document, base.rstrip("/"))
    calls = [(call["tags"][0], reader.call(path, method, call)) for path, method, call in _calls(document)]
    return [
        Group(tag["name"], tag["description"], [call for name, call in calls if name == tag["name"]])
        for tag in document["tags"]
    ]


def _calls(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            yield path, method, call


class _Reader:
    def __init__(self, document: Mapping[str, Any], base: str) -> None:
        self._document = document
        self._base = base

    def call(self, path: str, method: str, call: dict[str, Any]) -> Call:
        body, content_type = self._body(call)
        return Call(
            id=call["operationId"],
            method=method.upper(),
            path=path,
            title=call["summary"],
            description=call["description"] if call["description"].rstrip(".") != call["summary"] else "",
            parameters=[self._parameter(one) for one in call.get("parameters", ())],
            body=body,
            curl=self._curl(path, method, call, body, content_type),
            answers=[self._answer(status, answer) for status, answer in sorted(call["responses"].items())],
        )

    def _found(self, part: dict[str, Any]) -> dict[str, Any]:
        """What a ``$ref`` refers to; anything else as it is."""
        while "$ref" in part:
            found: Any = self._document
            for name in part["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            part = found
        return part

    def _parameter(self, part: dict[str, Any]) -> Parameter:
        found = self._found(part)
        return Parameter(
            name=found["name"],
            where={"path": "in the address", "query": "after ?", "header": "header"}[found["in"]],
            kind=self._kind(found["schema"]),
            is_required=found.get("required", False),
            description=found.get("description", ""),
        )

    def _kind(self, schema: dict[str, Any]) -> str:
        schema = {**self._found(schema), **{name: value for name, value in schema.items() if name == "default"}}
        if "anyOf" in schema:
            return " or ".join(self._kind(one) for one in schema["anyOf"] if one.get("type") != "null")
        if "enum" in schema:
            return ", ".join(map(str, schema["enum"]))
        words: str = schema.get("type", "any")
        low, high = schema.get("minimum"), schema.get("maximum")
        if low is not None and high is not None:
            words += f" {low} to {high}"
        return words + (f" ({schema['default']})" if schema.get("default") is not None else "")

    def _body(self, call: dict[str, Any]) -> tuple[str, str]:
        content = call.get("requestBody", {}).get("content", {})
        for content_type, media in content.items():
            if content_type == "application/json":
                return json.dumps(self._example(media["schema"]), indent=2, ensure_ascii=False), content_type
            return "", content_type
        return "", ""

    def _curl(self, path: str, method: str, call: dict[str, Any], body: str, content_type: str) -> str:
        words = ["curl"] + ([f"-X {method.upper()}"] if method != "get" else [])
        if call["security"]:
            words.append('-H "Authorization: Bearer $TOKEN"')
        if content_type == "multipart/form-data":
            words.append("-F files=@picture.jpg")
        elif content_type == "application/json":
            words += ['-H "Content-Type: application/json"', f"-d '{json.dumps(json.loads(body), ensure_ascii=False)}'"]
        elif content_type:
            words.append("--data-binary @pictures.zip")
        return " ".join([*words, f"{self._base}{path}"])

    def _answer(self, status: str, part: dict[str, Any]) -> Answer:
        found = self._found(part)
        schema = found.get("content", {}).get("application/json", {}).get("schema")
        is_shown = schema and status.startswith("2")
        example = json.dumps(self._example(schema), indent=2, ensure_ascii=False) if is_shown else ""
        return Answer(status, found["description"], example)

    def _example(self, schema: dict[str, Any], depth: int = 0) -> Json:
        schema = {**self._found(schema), **{name: value for name, value in schema.items() if name == "default"}}
        for given in ("default", "const"):
            if schema.get(given) is not None:
                value: Json = schema[given]
                return value
        if examples := schema.get("examples") or schema.get("enum"):
            first: Json = examples[0]
            return first
        for kinds in ("anyOf", "oneOf", "allOf"):
            if kinds in schema:
                return self._example(schema[kinds][0], depth)
        if depth >= _DEPTH:
            return "…"
        if schema.get("type") == "array":
            return [self._example(schema.get("items", {}), depth + 1)]
        if schema.get("type") == "object":
            inner = schema.get("properties", {})
            return {name: self._example(one, depth + 1) for name, one in inner.items()}
        return {"integer": 1, "number": 0.5, "boolean": True, "null": None}.get(schema.get("type", ""), "…")
