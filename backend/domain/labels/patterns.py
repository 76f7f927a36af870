"""Regular expressions of users: RE2, whose time is linear in the text, and nothing else.

``re`` could be made to hang by a pattern such as ``(a+)+$``; where RE2 refuses a
pattern, so do we, in plain words.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import re2

from backend.domain.errors import InvalidInput
from backend.domain.images import normal

MAX_LENGTH: Final = 1_000
MAX_MEMORY: Final = 8 << 20
"""Bytes that RE2 may use for one pattern."""
MAX_PROGRAM: Final = 50_000
"""Instructions that RE2 may make of one pattern; ``\\pL{100}`` alone is 120,000."""


class InvalidPattern(InvalidInput):
    """A regular expression can't be used."""

    code = "label-rule-invalid"

    def __init__(self, pattern: str, reason: str, position: int | None, advice: str) -> None:
        where = {} if position is None else {"position": position}
        super().__init__(reason, advice=advice, details={"pattern": pattern[:MAX_LENGTH], **where})
        self.position = position


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern that finds one part of a path."""

    text: str
    group: int
    _search: Callable[[str | bytes], Any]  # Any: re2 comes without types

    @classmethod
    def parse(cls, text: str, group: str) -> Self:
        """Compile ``text``; it finds its group named ``group``, else its first one.

        Raises:
            InvalidPattern: too long, not closed, without a group, or with a feature that RE2 hasn't got.
        """
        text = normal(text)  # as paths are
        if len(text) > MAX_LENGTH:
            advice = "Most patterns need less than 50; try to say it more generally."
            raise InvalidPattern(text, f"This pattern has more than {MAX_LENGTH:,} characters.", None, advice)
        compiled = _compile(text)
        if compiled.groups == 0:
            raise InvalidPattern(
                text,
                "This pattern has no part in round brackets, so it doesn't say which part of the name is meant.",
                None,
                r"Put brackets around that part, for example /([^/]+)_\d+\.jpg$",
            )
        return cls(text, compiled.groupindex.get(group, 1), compiled.search)

    def find(self, path: str) -> str | None:
        """The meant part of ``/`` + path, or None where the pattern doesn't fit."""
        # In bytes, which is faster: of text, re2 works out the place of every group in letters.
        match = self._search(f"/{path}".encode())
        found: bytes | None = match.group(self.group) if match else None
        try:
            return None if found is None else found.decode()
        except UnicodeDecodeError:  # a \C has cut a letter; then it is the whole letter
            whole: str = self._search(f"/{path}").group(self.group)
            return whole


def _compile(text: str) -> Any:  # Any: re2 comes without types
    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.log_errors = False
    try:
        compiled = re2.compile(text, options)
    except UnicodeEncodeError as error:
        raise InvalidPattern(text, "This pattern has a character that isn't text.", error.start + 1, "") from None
    except re2.error as error:
        raise _refusal(text, error) from error
    if compiled.programsize > MAX_PROGRAM:
        raise _too_complex(text)
    return compiled


# Features that other engines have and RE2 refuses, by their spelling.
_REFUSED: Final = (
    (re.compile(r"\(\?<?[=!]"), "look-ahead or look-behind"),
    (re.compile(r"\\[1-9]|\\k|\(\?P="), "a back-reference"),
    (re.compile(r"\(\?>"), "an atomic group"),
    (re.compile(r"[*+?}]\+"), "a possessive repetition"),
    (re.compile(r"\(\?(?:\(|R|[0-9])"), "a condition or recursion"),
)

_UNCLOSED: Final = {"(": ("round", ")"), "[": ("square", "]")}


def _refusal(text: str, error: Exception) -> InvalidPattern:
    reason = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
    if reason.startswith("missing )"):
        return _unclosed(text, "(")
    if reason.startswith("missing ]"):
        return _unclosed(text, "[")
    if reason.startswith("unexpected )"):
        position = _first_unopened(text)
        sentence = f"This pattern isn't complete: the bracket closed at position {position} was never opened."
        return InvalidPattern(text, sentence, position, r"Take it out, or write \) where a bracket itself is meant.")
    if reason.startswith("trailing"):
        sentence = "This pattern ends with a backslash, which has nothing to act on."
        return InvalidPattern(text, sentence, len(text), r"Take it out, or write \\ where a backslash itself is meant.")
    if reason.startswith("pattern too large"):
        return _too_complex(text)
    return _refused_feature(text) or _elsewhere(text, reason)


def _too_complex(text: str) -> InvalidPattern:
    return InvalidPattern(text, "This pattern is too complex.", None, "Use smaller numbers of repetitions.")


def _refused_feature(text: str) -> InvalidPattern | None:
    for spelling, name in _REFUSED:
        if found := spelling.search(text):
            position = found.start() + 1
            sentence = (
                f"This pattern needs a feature we don't allow ({name}, at position {position}), "
                "because it can hang a server."
            )
            return InvalidPattern(text, sentence, position, r"Try to say what the name looks like: /([^/]+)_\d+\.jpg$")
    return None


def _elsewhere(text: str, reason: str) -> InvalidPattern:
    _, _, part = reason.partition(": ")
    at = text.find(part) if part else -1
    position = at + 1 if at >= 0 else None
    where = f" at position {position}: {part}" if position else ""
    return InvalidPattern(
        text,
        f"This pattern can't be understood{where}.",
        position,
        r"A backslash before a sign means the sign itself, as in \.jpg",
    )


def _unclosed(text: str, opening: str) -> InvalidPattern:
    position = _last_unclosed(text, opening)
    kind, closing = _UNCLOSED[opening]
    sentence = f"This pattern isn't complete: a {kind} bracket opened at position {position} is never closed."
    return InvalidPattern(text, sentence, position, f"Close it with {closing}")


def _last_unclosed(text: str, opening: str) -> int:
    if opening == "[":
        return next((at for at, sign in reversed(_signs(text, inside_sets=True)) if sign == "["), 0) + 1
    opened: list[int] = []
    for at, sign in _signs(text):
        if sign == "(":
            opened.append(at)
        elif sign == ")" and opened:
            opened.pop()
    return (opened[-1] if opened else 0) + 1


def _first_unopened(text: str) -> int:
    depth = 0
    for at, sign in _signs(text):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth < 0:
            return at + 1
    return len(text)


def _signs(text: str, *, inside_sets: bool = False) -> list[tuple[int, str]]:
    """Position and sign of every bracket that isn't escaped and, where not asked for, not inside ``[…]``."""
    found: list[tuple[int, str]] = []
    in_set = False
    at = 0
    while at < len(text):
        sign = text[at]
        if sign == "\\":
            at += 1
        elif in_set:
            in_set = sign != "]"
        elif sign == "[":
            in_set = True
            if inside_sets:
                found.append((at, sign))
        elif sign in "()":
            found.append((at, sign))
        at += 1
    return found
