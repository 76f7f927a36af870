"""What one decoding process may use. Set inside of that process; Linux and macOS."""

import contextlib
import math
import os
import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeVar

from backend.imaging.decoding import MAX_PIXELS, allow_pixels
from backend.imaging.errors import Refused, UnreadableImage


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on the work for one picture.

    Attributes:
        processor_s: seconds of processor time, counted by the system in whole seconds. A busy machine
            makes a picture take longer by the clock, but not longer by this measure.
        clock_s: seconds by the clock, for a process that hangs without working.
        memory_bytes: address space of the process, programs and libraries included (Linux only).
        max_pixels: pixels that a picture may have, a JPEG four times as many.
    """

    processor_s: float = 20.0
    clock_s: float = 300.0
    memory_bytes: int = 2 << 30
    max_pixels: int = MAX_PIXELS

    @classmethod
    def for_pixels(cls, max_pixels: int) -> Self:
        """What pictures of so many pixels need; never less than those of ``MAX_PIXELS``."""
        share = max(1.0, max_pixels / MAX_PIXELS)
        return cls(
            processor_s=20.0 * share, clock_s=300.0 * share, memory_bytes=int(share * (2 << 30)), max_pixels=max_pixels
        )


LIMITS: Final = Limits()

Answer = TypeVar("Answer")
Call = tuple[Callable[..., Answer], tuple[Any, ...]]
"""A function that can be imported, with its arguments (Any: as it takes them)."""


def limit_process(limits: Limits) -> None:
    """Set what holds for the whole life of this process."""
    allow_pixels(limits.max_pixels)
    # Numerical libraries reserve address space for each thread that they might start.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))


def within_limits(limits: Limits, function: Callable[..., Answer], *arguments: object) -> Answer | Refused:
    """``function(*arguments)``, or why the picture was refused.

    The system ends this process (SIGXCPU) where the call takes more processor time than allowed.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, highest = resource.getrlimit(resource.RLIMIT_CPU)
    allowed = math.ceil(used.ru_utime + used.ru_stime + limits.processor_s)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (allowed, highest))
    try:
        return function(*arguments)
    except UnreadableImage as refusal:
        return Refused(refusal.reason_code, refusal.message)
    except MemoryError:
        return Refused("image-too-large", "it needs more memory than the server allows for one picture")
    finally:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CPU, (highest, highest))


def each_within_limits(limits: Limits, calls: Sequence[Call[Answer]]) -> list[Answer | Refused]:
    """The answers of several calls, each of which may cost what ``limits`` allow."""
    return [within_limits(limits, function, *arguments) for function, arguments in calls]
