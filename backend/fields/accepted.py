"""What a field accepts, in words, read from its type and bounds: the one source of sentences about bad values.

``a whole number from 2 to 1,024`` comes from ``Field(ge=2, le=1024)``, so that no sentence can contradict the check.
"""

import types
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

_BOUNDS: Final = {Ge: "ge", Gt: "gt", Le: "le", Lt: "lt", MinLen: "min_length", MaxLen: "max_length"}
_MOST_CHOICES: Final = 20


def accepted(annotation: Any, bounds: Mapping[str, Any] | None = None) -> str:  # Any: a type, and numbers
    """``a whole number from 2 to 1,024`` for a field of that type; ``bounds`` as ``bounds_of`` gives them."""
    bounds = bounds or {}
    annotation, own = unwrapped(annotation)
    bounds = {**bounds, **own}
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        options = [option for option in get_args(annotation) if option is not type(None)]
        return _or(list(dict.fromkeys(accepted(option, bounds) for option in options)))
    if origin is Literal:
        return _choice(get_args(annotation))
    if annotation is bool:
        return "true or false"
    if annotation in (int, float):
        return _number(annotation, bounds)
    if annotation is str:
        return _counted("text", "characters", bounds)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _choice([member.value for member in annotation])
    return _group(annotation, bounds)


def unwrapped(annotation: Any) -> tuple[Any, dict[str, Any]]:  # Any: a type, and numbers
    """A type without ``Annotated``, and the bounds that stood there."""
    if get_origin(annotation) is not Annotated:
        return annotation, {}
    inner, *metadata = get_args(annotation)
    return inner, bounds_of(metadata)


def bounds_of(metadata: Sequence[object]) -> dict[str, Any]:  # Any: numbers
    """Bounds by pydantic's names, from what stands beside a type."""
    return dict(_bounds(metadata))


def _bounds(metadata: Sequence[object]) -> Iterator[tuple[str, Any]]:
    for one in metadata:
        if isinstance(one, FieldInfo):
            yield from _bounds(one.metadata)
        elif name := _BOUNDS.get(type(one)):
            yield name, getattr(one, name)


def _number(kind: type, bounds: Mapping[str, Any]) -> str:
    what = "a whole number" if kind is int else "a number"
    least, above = bounds.get("ge"), bounds.get("gt")
    most, below = bounds.get("le"), bounds.get("lt")
    if kind is int and below is not None:
        most, below = below - 1, None
    if least is not None and most is not None:
        return f"{what} from {_words(least)} to {_words(most)}"
    low = f" of at least {_words(least)}" if least is not None else ""
    low = f" above {_words(above)}" if above is not None else low
    joined = " and " if low else " "
    high = f"{joined}up to {_words(most)}" if most is not None else ""
    high = f"{joined}below {_words(below)}" if below is not None else high
    return f"{what}{low}{high}"


def _group(annotation: Any, bounds: Mapping[str, Any]) -> str:  # Any: a type
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if origin is tuple and arguments and arguments[-1] is not Ellipsis:
        each = dict.fromkeys(accepted(argument) for argument in arguments)
        return f"a list of {len(arguments)} values, each {' or '.join(each)}"
    if origin in (list, tuple, set, frozenset):
        return _counted("a list", "entries", bounds)
    if origin is dict or (isinstance(origin, type) and issubclass(origin, (Mapping, BaseModel))):
        return "an object in braces, {…}"
    return "of another kind"


def _counted(what: str, unit: str, bounds: Mapping[str, Any]) -> str:
    least, most = bounds.get("min_length"), bounds.get("max_length")
    if least and most:
        return f"{what} of {least:,} to {most:,} {unit}"
    if most:
        return f"{what} of at most {most:,} {unit}"
    return f"{what} of at least {least:,} {unit}" if least else what


def _choice(values: Sequence[object]) -> str:
    named = [f"“{value}”" if isinstance(value, str) else str(value) for value in values[:_MOST_CHOICES]]
    return named[0] if len(named) == 1 else f"one of {', '.join(named)}"


def _or(options: Sequence[str]) -> str:
    return ", or ".join(options)


def _words(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"
