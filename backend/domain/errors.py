"""What can go wrong, in five families.

The domain and the engine raise these; ``backend.error_handlers`` alone knows
which HTTP status a family has. Every concrete error sits beside the code that
raises it, takes data in its constructor and composes its own sentence: what
happened, and (``advice``) what to do about it.
"""

import errno
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, TypeVar

from backend.domain.json import Json


class AppError(Exception):
    """A refusal that the person who caused it can understand and act on.

    Attributes:
        code: stable name for programs, such as ``label-rule-invalid``.
        message: one sentence, what happened.
        advice: one sentence, what to do now; empty where nothing can be done.
        details: data for programs; JSON values only.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, advice: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.details: dict[str, Json] = dict(details or {})

    def __reduce__(self) -> tuple[Callable[..., Self], tuple[type[Self], dict[str, Any]]]:
        # Made again from its data where it comes from another process: constructors take data, not sentences.
        return _restored, (type(self), self.__dict__)


class NotFound(AppError):
    """There is no such thing, or it isn't shared with the caller."""

    code = "not-found"


class NotAllowed(AppError):
    """The caller is known, but may not do this."""

    code = "not-allowed"


class Conflict(AppError):
    """The request contradicts the present state."""

    code = "conflict"


class InvalidInput(AppError):
    """What was sent can't be used as it is."""

    code = "invalid-input"


class LimitExceeded(AppError):
    """More, larger or longer than this server accepts."""

    code = "limit-exceeded"


class Unavailable(AppError):
    """A part that is needed is missing or doesn't answer at the moment."""

    code = "unavailable"


class NoRoom(AppError):
    """The server's disk is full, or nearly so.

    Args:
        free_bytes: free space of the disk, where it was asked for.
    """

    code = "disk-full"

    def __init__(self, free_bytes: int | None = None) -> None:
        super().__init__(
            "The server's disk is full, so nothing was stored. What was there before is unchanged.",
            advice="Free some space, then try again.",
            details={} if free_bytes is None else {"free_bytes": free_bytes},
        )


def is_disk_full(error: BaseException) -> bool:
    """Whether the system refused to write because the disk is full or a quota is used up."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


_Error = TypeVar("_Error", bound=AppError)


def _restored(kind: type[_Error], state: dict[str, Any]) -> _Error:
    error = kind.__new__(kind, state.get("message", ""))
    error.__dict__.update(state)
    return error
