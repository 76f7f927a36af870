"""Positions of pictures on a map, from their features: pictures that look alike lie close together.

Two views of the same features: their two main directions (PCA), which is there at once and keeps only what varies
most, and t-SNE (van der Maaten and Hinton 2008, by openTSNE), which keeps who is near whom and takes longer.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

FEWEST: Final = 10
"""Pictures below which t-SNE has nothing to arrange."""
ARRANGED: Final = 20_000
"""Pictures that t-SNE arranges at most, spread over all; each further one is put among those that it is most alike."""
NEAREST: Final = 10
_PERPLEXITY: Final = 30.0
"""Neighbours that count for each picture, as most papers have it."""
_EARLY: Final = 250
_ROUNDS: Final = 500
"""Rounds with exaggerated attraction, which sort the groups, and without, which order each of them (openTSNE's own)."""
_REPORTED_EVERY: Final = 10
_GRID_FROM: Final = 10_000
"""Pictures from which on a grid is quicker than a tree for the repelling forces."""

Positions = NDArray[np.float32]


def principal_view(values: NDArray[np.float32]) -> Positions:
    """(N, 2) positions in [-1, 1] along the two main directions of (N, D) features; the same for the same features."""
    if len(values) < 2:
        return np.zeros((len(values), 2), dtype=np.float32)
    centred = values - values.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    main = directions[:, ::-1][:, :2]
    if main.shape[1] < 2:
        main = np.column_stack([main, np.zeros(len(main))])
    # A direction and its opposite are equally good: the largest part of each points up.
    main = main * np.sign(main[np.abs(main).argmax(axis=0), range(2)] + 1e-12)
    return on_a_square(centred @ main)


def neighbour_view(
    values: NDArray[np.float32], *, threads: int = 1, on_progress: Callable[[float], None] = lambda share: None
) -> Positions:
    """(N, 2) positions in [-1, 1] that keep neighbours of (N, D) features together; N is at least ``FEWEST``.

    Args:
        threads: that it may use.
        on_progress: is given the share that is done, in 0 to 1.
    """
    # Seconds of loading, and only for who asks.
    from openTSNE import TSNEEmbedding, affinity, initialization

    count = len(values)
    assert count >= FEWEST, count
    chosen = np.unique(np.linspace(0, count - 1, min(count, ARRANGED)).astype(np.int64))
    arranged = np.ascontiguousarray(values[chosen], dtype=np.float64)
    near = affinity.PerplexityBasedNN(
        arranged, perplexity=min(_PERPLEXITY, (len(chosen) - 1) / 3), n_jobs=threads, random_state=1
    )
    first = initialization.rescale(principal_view(values)[chosen].astype(np.float64))
    done = 0

    def report(round_number: int, _error: float, _positions: object) -> None:
        on_progress(min(1.0, (done + round_number) / (_EARLY + _ROUNDS)))

    positions = TSNEEmbedding(
        first,
        near,
        negative_gradient_method="fft" if len(chosen) >= _GRID_FROM else "bh",
        n_jobs=threads,
        random_state=1,
        callbacks=report,
        callbacks_every_iters=_REPORTED_EVERY,
    )
    positions.optimize(n_iter=_EARLY, exaggeration=12, momentum=0.5, inplace=True)
    done = _EARLY
    positions.optimize(n_iter=_ROUNDS, momentum=0.8, inplace=True)
    found = np.empty((count, 2), dtype=np.float64)
    found[chosen] = positions
    others = np.setdiff1d(np.arange(count), chosen, assume_unique=True)
    if len(others):
        found[others] = positions.prepare_partial(
            np.ascontiguousarray(values[others], dtype=np.float64), initialization="median", k=NEAREST
        )
    return on_a_square(found)


def strays(positions: Positions, targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each of N pictures the other class that most of its ``NEAREST`` on the map have; -1 where none has.

    Args:
        positions: (N, 2).
        targets: (N,) index of each picture's class; -1 where it has none, which then has no part in it.
    """
    from scipy.spatial import cKDTree

    found = np.full(len(targets), -1, dtype=np.int64)
    labelled = np.flatnonzero(targets >= 0)
    nearest = min(NEAREST, len(labelled) - 1)
    if nearest < 2:
        return found
    _, places = cKDTree(positions[labelled]).query(positions[labelled], k=nearest + 1)
    around = targets[labelled][_without_itself(places)]
    # How often each neighbour's class occurs among the neighbours: the largest is that of the most frequent one.
    counts = np.stack([(around == around[:, [column]]).sum(axis=1) for column in range(nearest)], axis=1)
    most = counts.argmax(axis=1)
    each = np.arange(len(labelled))
    is_stray = (around[each, most] != targets[labelled]) & (counts[each, most] > nearest / 2)
    found[labelled[is_stray]] = around[each, most][is_stray]
    return found


def on_a_square(positions: NDArray[np.float64] | NDArray[np.float32]) -> Positions:
    """(N, 2) positions moved and scaled, both directions alike, so that the wider one goes from -1 to 1."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    half = max(float((high - low).max()) / 2, 1e-12)
    found: Positions = ((positions - (low + high) / 2) / half).astype(np.float32)
    return found


def _without_itself(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N, K) neighbours of (N, K + 1), without the picture itself, which equal ones may precede."""
    is_itself = places == np.arange(len(places))[:, None]
    # Where more equal ones lie in front than are asked for, the last one goes.
    is_itself[~is_itself.any(axis=1), -1] = True
    found: NDArray[np.int64] = places[~is_itself].reshape(len(places), -1)
    return found
