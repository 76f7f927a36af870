"""Label expressions of users, in CEL: typed, without loops that grow, and without a way out.

Google's own evaluator checks types before anything runs, keeps to a recursion
depth of 32 and a budget of iterations. It has no limit on the size of a value, so the
functions that could make text grow are ours, and one loop is all that an expression may have.
What is left (``+``, ``matches``) is bounded by the process that a server evaluates in.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from cel_expr_python import cel

from backend.domain.errors import InvalidInput

MAX_LENGTH: Final = 2_000
_MAX_TEXT: Final = 20_000
"""Characters that a value inside an expression may have."""
_MAX_PARTS: Final = 1_000
"""Parts that ``split`` may give."""
MAX_PATH: Final = 1_000
"""Characters of a path that is evaluated; for a longer one there is no answer."""

VARIABLES: Final = {
    **dict.fromkeys(("path", "name", "stem", "suffix", "parent"), cel.Type.STRING),
    "parts": cel.Type.List(cel.Type.STRING),
}
EXAMPLE: Final = "parts[0] == 'new' ? stem.split('_')[0] : parent"


class InvalidExpression(InvalidInput):
    """An expression can't be used."""

    code = "label-rule-invalid"

    def __init__(self, reason: str, position: int | None = None, advice: str = f"An example: {EXAMPLE}") -> None:
        super().__init__(reason, advice=advice, details={} if position is None else {"position": position})
        self.position = position


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression that gives text."""

    text: str
    _program: Any  # Any: cel_expr_python's Expression
    _read: tuple[str, ...]
    """The variables whose names stand in it: handing over all of them takes a quarter longer."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Compile and check ``text``.

        Raises:
            InvalidExpression: too long, not understood, or something else than text comes out.
        """
        if len(text) > MAX_LENGTH:
            raise InvalidExpression(f"This expression has more than {MAX_LENGTH:,} characters.")
        if len(_LOOP.findall(text)) > 1:
            raise InvalidExpression("An expression may hold at most one of map, filter, all and exists.")
        program = _compile(text)
        kind = program.return_type().name().partition("<")[0]
        if kind not in ("STRING", "DYN"):
            raise InvalidExpression(
                f"This expression gives {_KINDS.get(kind, 'something else')}, but a label has to be text.",
                advice=f"Choose between texts with a question mark: {EXAMPLE}",
            )
        return cls(text, program, tuple(name for name in VARIABLES if name in text))

    def evaluate(self, path: str) -> str | None:
        """The text for one path, or None where the expression has no answer (such as a part that isn't there).

        Raises:
            InvalidExpression: it needs too much work, or gives something else than text.
        """
        if len(path) > MAX_PATH:
            return None
        known = variables(path)
        try:
            answer = self._program.eval(data={name: known[name] for name in self._read})
        except RuntimeError as error:
            raise InvalidExpression("This expression needs too much work for a single picture.") from error
        return _text_of(answer)


def variables(path: str) -> dict[str, Any]:  # Any: text and a list of texts
    """What an expression can ask about a path; the names and meanings of Python's ``pathlib``.

    Paths in datasets have no empty parts, so cutting them says the same as ``pathlib`` in a fifth of the time.
    """
    parent, _, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    has_suffix = bool(stem and suffix)
    return {
        "path": path,
        "name": name,
        "stem": stem if has_suffix else name,
        "suffix": dot + suffix if has_suffix else "",
        "parent": parent,
        "parts": path.split("/"),
    }


def _text_of(answer: Any) -> str | None:  # Any: cel_expr_python's Value
    match answer.type().name():
        case "STRING":
            text: str = answer.value()
            return text
        case "ERROR" if "regular expression" in answer.value():
            raise InvalidExpression("A pattern in this expression can't be understood.")
        case "ERROR" if _TOO_LONG in answer.value():
            raise InvalidExpression("A text in this expression becomes too long.")
        case "ERROR" | "NULL":
            return None
        case kind:
            raise InvalidExpression(f"This expression gives {_KINDS.get(kind, 'something else')}, not a text.")


_LOOP: Final = re.compile(r"\b(?:map|filter|all|exists|exists_one|existsOne)\s*(?://[^\n]*\n\s*)*\(")
_KINDS: Final = {
    "INT": "a number",
    "UINT": "a number",
    "DOUBLE": "a number",
    "BOOL": "yes or no",
    "NULL": "nothing",
    "LIST": "a list",
    "MAP": "a table",
    "BYTES": "bytes",
}
_TOO_LONG: Final = "tellapart: too long"


def _compile(text: str) -> Any:  # Any: cel_expr_python's Expression
    try:
        return _ENVIRONMENT.compile(text)
    except TypeError as error:  # half a character
        raise InvalidExpression("This expression has a character that isn't text.") from error
    except RuntimeError as error:
        raise _refusal(text, str(error)) from error


_PLACE: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")


def _refusal(text: str, reason: str) -> InvalidExpression:
    found = _PLACE.search(reason)
    if found is None or int(found[1]) < 1:
        return InvalidExpression("This expression is too deeply nested.")
    position = sum(len(line) + 1 for line in text.split("\n")[: int(found[1]) - 1]) + int(found[2])
    return InvalidExpression(_sentence(found[3], position), position)


def _sentence(reason: str, position: int) -> str:
    if unknown := re.match(r"undeclared reference to '([^']{1,40})'", reason):
        known = "path, name, stem, suffix, parent and parts"
        return f"“{unknown[1]}” at position {position} isn't known. Known are {known}."
    if reason.startswith("found no matching overload"):
        return f"What stands at position {position} doesn't fit the kind of value it is used with."
    if "<EOF>" in reason:
        return "This expression isn't complete: something is missing at its end."
    return f"This expression can't be understood at position {position}."


def _limited(function: Callable[..., str]) -> Callable[..., str]:
    def limited(*arguments: Any) -> str:  # Any: CEL's values
        result = function(*arguments)
        if len(result) > _MAX_TEXT:
            raise ValueError(_TOO_LONG)
        return result

    return limited


def _replace(text: str, old: str, new: str) -> str:
    # Counted first, so that the long text is never made.
    if len(text) + text.count(old) * max(0, len(new) - len(old)) > _MAX_TEXT:
        raise ValueError(_TOO_LONG)
    return text.replace(old, new)


def _split(text: str, separator: str) -> list[str]:
    if (text.count(separator) if separator else len(text)) >= _MAX_PARTS:
        raise ValueError(_TOO_LONG)
    return text.split(separator) if separator else list(text)


def _substring(text: str, *bounds: int) -> str:
    start, end = (bounds[0], bounds[1] if len(bounds) > 1 else len(text))
    if not 0 <= start <= end <= len(text):
        raise ValueError("out of range")
    return text[start:end]


def _functions() -> Iterator[cel.FunctionDecl]:
    text, number, texts = cel.Type.STRING, cel.Type.INT, cel.Type.List(cel.Type.STRING)
    members: Iterable[tuple[str, Any, Sequence[Any], Callable[..., Any]]] = (  # Any: CEL's types and values
        ("split", texts, (text, text), _split),
        ("replace", text, (text, text, text), _replace),
        ("lowerAscii", text, (text,), str.lower),
        ("upperAscii", text, (text,), _limited(str.upper)),
        ("trim", text, (text,), str.strip),
        ("indexOf", number, (text, text), str.find),
        ("lastIndexOf", number, (text, text), str.rfind),
    )
    for name, result, parameters, function in members:
        overload = cel.Overload(f"tellapart_{name}", result, list(parameters), True, function)
        yield cel.FunctionDecl(name, [overload])
    yield cel.FunctionDecl(
        "substring",
        [
            cel.Overload("tellapart_substring_from", text, [text, number], True, _substring),
            cel.Overload("tellapart_substring_between", text, [text, number, number], True, _substring),
        ],
    )


_ENVIRONMENT: Final = cel.NewEnv(
    variables=VARIABLES,
    extensions=[cel.CelExtension("tellapart", list(_functions()))],
)
