"""Learning rate and momentum over the steps of a stage (one-cycle), as the course plans them."""

import math
from typing import Final

from backend.domain.training import MaxLearningRate, Stage

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


def group_rates(max_lr: MaxLearningRate, groups: int) -> tuple[float, ...]:
    """Peak learning rate of each layer group, lowest layers first.

    One number: every group below the head gets a tenth of it. A pair: spread
    geometrically from the first to the second. Source: fastai 2 ``Optimizer``
    hyper-parameters, ``even_mults``.
    """
    if isinstance(max_lr, tuple):
        low, high = max_lr
        if groups == 1:
            return (high,)
        return tuple(low * (high / low) ** (place / (groups - 1)) for place in range(groups))
    return (max_lr / 10,) * (groups - 1) + (max_lr,)


def one_cycle(progress: float, *, peak: float, warmup: float, start_div: float, final_div: float) -> float:
    """Learning rate once a share ``progress`` in [0, 1] of the stage's steps is done.

    Rises along a cosine from ``peak / start_div`` to ``peak`` during the first
    ``warmup`` share, then falls along a cosine to ``peak / final_div``.

    Source: Smith & Topin, "Super-Convergence", arXiv:1708.07120. The paper's legs
    are straight lines; cosine legs and the defaults follow fastai.
    """
    return _two_legs(progress, peak / start_div, peak, peak / final_div, warmup)


def one_cycle_momentum(progress: float, *, high: float, low: float, warmup: float) -> float:
    """Momentum at the same ``progress``: falls from ``high`` to ``low``, then rises again."""
    return _two_legs(progress, high, low, high, warmup)


def _two_legs(progress: float, start: float, turn: float, end: float, warmup: float) -> float:
    if progress < warmup:
        return _cosine(start, turn, progress / warmup)
    return _cosine(turn, end, (progress - warmup) / (1 - warmup))


def _cosine(start: float, end: float, share: float) -> float:
    return start + (1 - math.cos(math.pi * share)) * (end - start) / 2
