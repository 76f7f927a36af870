"""Rough times in words, the same on every page."""

import math
from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 3600
_MARGIN: Final = 1.3
"""A time that is left is said as a range up to this many times as long."""


def eta_words(seconds: float) -> str:
    """A time that is left, as a range."""
    return range_words(seconds, seconds * _MARGIN)


def range_words(low: float, high: float) -> str:
    """A time between two bounds in seconds, each rounded up.

    To 10 s under 2 min, to 1 min under 20, to 5 min under 2 hours, to half hours above.
    """
    if high < 2 * _MINUTE:
        return _range(low, high, 10, 1, "s")
    if high < 2 * _HOUR:
        return _range(low, high, 60 if high < 20 * _MINUTE else 300, _MINUTE, "min")
    return _range(low, high, _HOUR // 2, _HOUR, "h")


def _range(low: float, high: float, step: int, unit_s: int, unit: str) -> str:
    first, last = (f"{max(1, math.ceil(value / step)) * step / unit_s:g}" for value in (low, high))
    return f"about {last} {unit}" if first == last else f"{first}–{last} {unit}"
