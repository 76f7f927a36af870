"""From what pydantic finds wrong with a form or a JSON body to one plain sentence for each field."""

import re
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from backend.fields.accepted import accepted, bounds_of, unwrapped

Path = tuple[str | int, ...]
_OURS: Final = frozenset({"value_error", "assertion_error"})
"""What our own validators raise: their sentence is ours."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A field that can't be used: its path, without what pydantic calls the kinds of a union, and a sentence."""

    path: Path
    sentence: str


@dataclass(frozen=True, slots=True)
class _Found:
    """The field that an error is about; ``is_known``: all of its path was found in the model."""

    path: Path
    annotation: Any  # Any: a type
    bounds: Mapping[str, Any]
    is_known: bool


def in_quotes(path: Path) -> str:
    """``“config.batch_size”``, for people who write programs."""
    return f"“{'.'.join(map(str, path))}”" if path else "The request"


def problems(
    errors: Iterable[ErrorDetails],
    model: Any,  # Any: a type
    label: Callable[[Path], str] = in_quotes,
    words: Callable[[Path], str | None] = lambda path: None,
) -> list[Problem]:
    """One problem for each field, in their order.

    ``model``: the model, or types by name. ``label``: what a field is called; ``words``: what it accepts, where that
    is said better than by its type.
    """
    found: dict[Path, str] = {}
    for error in errors:
        if error["type"].startswith("json_"):
            return [Problem((), "The request isn't JSON: it has to begin with { and end with }.")]
        field = _find(error["loc"], model)
        found.setdefault(field.path, _sentence(error, field, label, words))
    # Where a part of a field is wrong, no more is said of the whole.
    inner = [path for path in found if not any(other != path and other[: len(path)] == path for other in found)]
    return [Problem(path, found[path]) for path in inner]


def _sentence(
    error: ErrorDetails, field: _Found, label: Callable[[Path], str], words: Callable[[Path], str | None]
) -> str:
    kind, name = error["type"], label(field.path)
    if kind == "extra_forbidden":
        return f"{name} isn't a setting that is known here."
    if kind.startswith("union_tag"):
        return _tag_sentence(error, field, label)
    if kind in _OURS:
        return str(error.get("ctx", {}).get("error", "")) or f"{name} can't be used."
    what = words(field.path) or (accepted(field.annotation, field.bounds) if field.is_known else _by_error(error))
    return f"{name} is missing: it must be {what}." if kind == "missing" else f"{name} must be {what}."


def _tag_sentence(error: ErrorDetails, field: _Found, label: Callable[[Path], str]) -> str:
    """What names the kind of an object, such as ``kind``, is missing or names none."""
    tag = str(error["ctx"]["discriminator"]).strip("'")
    kinds = error["ctx"].get("expected_tags", "").replace("'", "")
    name = label((*field.path, tag))
    return f"{name} must be one of {kinds}." if kinds else f"{name} is missing: it says which kind is meant."


def _by_error(error: ErrorDetails) -> str:
    """What a field accepts, as far as an error about it tells."""
    if names := re.findall("'([^']+)'", str(error.get("ctx", {}).get("expected", ""))):
        return "one of " + ", ".join(f"“{name}”" for name in names)
    bounds = {name: value for name, value in error.get("ctx", {}).items() if isinstance(value, (int, float))}
    kinds: dict[str, type] = {"int": int, "float": float, "bool": bool, "string": str}
    kind = kinds.get(error["type"].partition("_")[0])
    if kind is None:
        kind = str if "min_length" in bounds or "max_length" in bounds else float
    return accepted(kind, bounds)


def _find(location: Sequence[str | int], model: Any) -> _Found:  # Any: a type
    path: list[str | int] = []
    annotation, bounds = unwrapped(model)
    for part in location:
        inner = _inside(annotation, part)
        if inner is None:
            if _is_tag(annotation, part):
                annotation = _tagged(annotation, part)
                continue
            is_plain = _is_group(annotation)
            return _Found((*path, part) if is_plain else tuple(path), annotation, bounds, is_known=not is_plain)
        path.append(part)
        annotation, bounds = inner
    return _Found(tuple(path), annotation, bounds, is_known=True)


def _inside(annotation: Any, part: str | int) -> tuple[Any, dict[str, Any]] | None:  # Any: types, numbers
    """Type and bounds of a part of a value of this type; None where it has none of that name."""
    for option in _options(annotation):
        if isinstance(option, Mapping) and part in option:
            return unwrapped(option[part])
        if isinstance(option, type) and issubclass(option, BaseModel) and isinstance(part, str):
            fields = {field.alias or name: field for name, field in option.model_fields.items()}
            if part in fields:
                inner, own = unwrapped(fields[part].annotation)
                return inner, {**bounds_of(fields[part].metadata), **own}
        if get_origin(option) in (list, tuple) and isinstance(part, int) and _is_single(annotation):
            arguments = get_args(option)
            return unwrapped(arguments[min(part, len(arguments) - 1)] if arguments[-1] is not ... else arguments[0])
    return None


def _is_single(annotation: Any) -> bool:  # Any: a type
    """Whether a value is a list and nothing else, but perhaps nothing."""
    return len(_options(annotation)) == 1


def _options(annotation: Any) -> list[Any]:  # Any: types
    annotation, _ = unwrapped(annotation)
    if get_origin(annotation) in (Union, types.UnionType):
        return [found for option in get_args(annotation) if option is not type(None) for found in _options(option)]
    return [annotation]


def _is_group(annotation: Any) -> bool:  # Any: a type
    return any(
        isinstance(option, Mapping) or (isinstance(option, type) and issubclass(option, BaseModel))
        for option in _options(annotation)
    )


def _is_tag(annotation: Any, part: str | int) -> bool:  # Any: a type
    return _tagged(annotation, part) is not None


def _tagged(annotation: Any, part: str | int) -> Any:  # Any: a type
    """The model of a union that a tag stands for, such as ``folder`` for ``{"kind": "folder"}``; else None."""
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            for field in option.model_fields.values():
                if get_origin(field.annotation) is Literal and part in get_args(field.annotation):
                    return option
            if option.__name__ == part:
                return option
    return None
