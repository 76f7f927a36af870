"""How a model's confidence is drawn: shares and positions for the charts of its page."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.domain.confidence.calibration import Calibration
from backend.domain.confidence.strangeness import Detection, Familiarity, detection
from backend.domain.results import ProportionWords, proportion_words

BARS: Final = 24
LIMITS: Final = (0.01, 0.02, 0.05, 0.1, 0.2)
"""Shares of familiar pictures that may be refused, of the table."""


@dataclass(frozen=True, slots=True)
class Point:
    """A group of pictures in the calibration chart; all in 0 to 100, upwards is small, as SVG has it."""

    x: float
    y: float
    low: float
    high: float


def points_of(found: Calibration) -> list[Point]:
    """One point for each step of confidence in which there are pictures."""
    points = []
    for one in found.bins:
        if one.confidence is not None and one.accuracy is not None:
            low, high = one.interval
            points.append(Point(100 * one.confidence, 100 - 100 * one.accuracy, 100 - 100 * low, 100 - 100 * high))
    return points


def calibration_words(found: Calibration) -> str:
    """What the calibration error means, in a sentence."""
    if found.ece <= found.ece_by_chance:
        return "No more than chance would explain with so few pictures."
    side = "more" if found.confidence > found.accuracy else "less"
    return f"More than chance would explain: it is {side} confident than it should be."


@dataclass(frozen=True, slots=True)
class Bar:
    """One step of strangeness: its place and the heights of both kinds, in 0 to 100."""

    x: float
    width: float
    familiar: float
    left_out: float


@dataclass(frozen=True, slots=True)
class LimitRow:
    """What a limit means: how many of the test pictures it refuses, and of the stand-ins for unknown ones."""

    refused: float
    familiar: ProportionWords
    strange: ProportionWords


@dataclass(frozen=True, slots=True)
class StrangenessChart:
    """Both kinds side by side; ``limit`` is where the chosen limit lies, in 0 to 100, None without one."""

    bars: tuple[Bar, ...]
    limit: float | None
    rows: tuple[LimitRow, ...]


def strangeness_chart(found: Familiarity, limit: float | None) -> StrangenessChart:
    """Test pictures and stand-ins by strangeness; the few that are furthest out stand in the outermost bars."""
    both = np.concatenate([found.familiar, found.left_out])
    low, high = (float(value) for value in np.quantile(both, [0.005, 0.995]))
    edges = np.linspace(low, max(high, low + 1e-6), BARS + 1)
    heights = [_shares(values, edges) for values in (found.familiar, found.left_out)]
    most = max(float(of.max()) for of in heights) or 1.0
    width = 100 / BARS
    bars = tuple(
        Bar(place * width, width, 100 * float(heights[0][place]) / most, 100 * float(heights[1][place]) / most)
        for place in range(BARS)
    )
    drawn_at = None if limit is None else min(100.0, max(0.0, 100 * (limit - low) / (edges[-1] - low)))
    return StrangenessChart(bars, drawn_at, tuple(_row(found, refused) for refused in LIMITS))


def _shares(values: NDArray[np.float32], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return counts / max(1, len(values))


def _row(found: Familiarity, refused: float) -> LimitRow:
    limit = found.limit(refused)
    familiar, strange = (int((values > limit).sum()) for values in (found.familiar, found.left_out))
    return LimitRow(
        refused, proportion_words(familiar, len(found.familiar)), proportion_words(strange, len(found.left_out))
    )


def precision_line(found: Familiarity, limit: float) -> str:
    """Points of the line of precision over the assumed share of unknown pictures, 0 to 50 %, for SVG."""
    expected = [detection(found, limit, share / 100) for share in range(51)]
    return " ".join(f"{2 * place:.0f},{100 - 100 * _known(one):.1f}" for place, one in enumerate(expected))


def _known(one: Detection) -> float:
    return one.precision or 0.0
