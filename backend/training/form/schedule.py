"""How rate and momentum change over a stage, before it is trained: a line to draw, rows of a table, and a sentence."""

from dataclasses import dataclass
from typing import Final

from backend.domain.lr_finder import words
from backend.domain.schedule import SHARES, group_rates, momentum_at, rate_at
from backend.domain.training import Stage

WIDTH: Final = 240
HEIGHT: Final = 48
_ROWS: Final = 10


@dataclass(frozen=True, slots=True)
class Moment:
    """Rate and momentum once a share of the stage's steps is done; ``lowest`` is of the first layers."""

    share: float
    lowest: str
    head: str
    momentum: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """One stage's rate over time.

    Attributes:
        rate, momentum: points of a line in a field of ``WIDTH`` by ``HEIGHT``, as SVG wants them.
        moments: what the table shows.
        is_found: the rate is searched first, so that only its shape is known.
    """

    rate: str
    momentum: str
    moments: tuple[Moment, ...]
    text: str
    is_found: bool


def schedule_of(stage: Stage, groups: int) -> Schedule:
    """The schedule of a stage of an architecture with so many layer groups."""
    is_found = stage.max_lr == "find"
    peaks = (1.0, 1.0) if is_found else _ends(group_rates(stage.peak, groups))
    shares = list(SHARES)
    return Schedule(
        rate=_points(shares, [rate_at(stage, share, 1.0) for share in shares]),
        momentum=_points(shares, [_momentum_height(stage, share) for share in shares]),
        moments=tuple(_moment(stage, row / _ROWS, peaks, is_found) for row in range(_ROWS + 1)),
        text=_text(stage, peaks[1], is_found),
        is_found=is_found,
    )


def _ends(rates: tuple[float, ...]) -> tuple[float, float]:
    return rates[0], rates[-1]


def _momentum_height(stage: Stage, share: float) -> float:
    """0 at the lowest momentum of the stage, 1 at its highest."""
    span = stage.momentum_high - stage.momentum_low
    return (momentum_at(stage, share) - stage.momentum_low) / span if span else 0.5


def _points(shares: list[float], heights: list[float]) -> str:
    points = zip(shares, heights, strict=True)
    return " ".join(f"{WIDTH * share:.1f},{HEIGHT - (HEIGHT - 4) * height - 2:.1f}" for share, height in points)


def _moment(stage: Stage, share: float, peaks: tuple[float, float], is_found: bool) -> Moment:
    lowest, head = (rate_at(stage, share, peak) for peak in peaks)
    if is_found:
        return Moment(share, "", f"{head:.1%} of the rate found".replace("%", " %"), momentum_at(stage, share))
    return Moment(
        share, "fixed" if stage.features_are_constant else words(lowest), words(head), momentum_at(stage, share)
    )


def _text(stage: Stage, peak: float, is_found: bool) -> str:
    rising = f"{stage.warmup:.0%}".replace("%", " %")
    if is_found:
        return f"A search finds the rate first. It rises to that rate in the first {rising} of the steps, then falls."
    start, end = words(peak / stage.start_div), words(peak / stage.final_div)
    return (
        f"The rate of the last layers rises from {start} to {words(peak)} in the first {rising} of the steps, "
        f"then falls to {end}."
    )
