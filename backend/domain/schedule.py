"""Learning rate and momentum over the steps of a stage (one-cycle), as the course plans them."""

from typing import Final

from backend.domain.training import Stage, one_cycle, one_cycle_momentum

_POINTS: Final = 60
SHARES: Final = tuple(point / _POINTS for point in range(_POINTS + 1))
"""Shares of a stage's steps, in [0, 1], at which a schedule is drawn."""


def rate_at(stage: Stage, share: float, peak: float) -> float:
    """Learning rate once a ``share`` in [0, 1] of the stage's steps is done, where ``peak`` is its highest."""
    return one_cycle(share, peak=peak, warmup=stage.warmup, start_div=stage.start_div, final_div=stage.final_div)


def momentum_at(stage: Stage, share: float) -> float:
    """Momentum (Adam's beta1) once a ``share`` in [0, 1] of the stage's steps is done."""
    return one_cycle_momentum(share, high=stage.momentum_high, low=stage.momentum_low, warmup=stage.warmup)


def planned_points(stage: Stage) -> list[tuple[float, float, float]]:
    """(share of the steps, learning rate of the head, momentum) at ``SHARES``; none before the rate is known."""
    if stage.max_lr == "find":
        return []
    peak = stage.peak[-1] if isinstance(stage.peak, tuple) else stage.peak
    return [
        (round(share, 4), float(f"{rate_at(stage, share, peak):.4g}"), round(momentum_at(stage, share), 4))
        for share in SHARES
    ]
