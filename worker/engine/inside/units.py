"""Which units are worth a look, and which pictures excite them most."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Peaks = NDArray[np.float32]
"""(N, C): the largest activation of each unit in each picture."""

ALIKE_UNITS: Final = 0.8
"""Of units whose activations correlate more than that, one is shown."""
NEAR_COPY: Final = 0.95
"""Of pictures whose small grey versions correlate more than that, one is shown for a unit."""


def class_shares(peaks: Peaks, targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """(C,) share of a unit's variation between pictures that their classes explain, beyond chance, in 0 to 1.

    Args:
        targets: (N,) index of each picture's class.

    Source: epsilon squared (Kelley 1935), the analysis of variance's effect size without the share that classes
    explain by chance.
    """
    images, (_, members) = len(peaks), np.unique(targets, return_inverse=True)
    classes = int(members.max()) + 1 if images else 0
    if images <= classes:
        return np.zeros(peaks.shape[1])
    values = peaks.astype(np.float64)
    sums = np.zeros((classes, peaks.shape[1]))
    np.add.at(sums, members, values)
    means = sums / np.bincount(members)[:, None]
    within = ((values - means[members]) ** 2).sum(axis=0)
    total = ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = 1 - within / (images - classes) / (total / (images - 1))
    return np.where(total > 0, np.clip(share, 0, 1), 0)


def chosen(peaks: Peaks, shares: NDArray[np.float64], most: int) -> list[int]:
    """Units that differ most between classes, the most first; of units that respond nearly alike only one.

    Units that respond to every picture alike are left out.
    """
    rows = standardised(peaks.T)
    ranked = [unit for unit in np.argsort(-shares, kind="stable").tolist() if rows[unit].any()]
    found: list[int] = []
    for unit in ranked:
        if len(found) == most:
            break
        if not found or np.abs(rows[found] @ rows[unit]).max() <= ALIKE_UNITS:
            found.append(unit)
    return found


def most_exciting(activations: NDArray[np.float32], greys: NDArray[np.float32], most: int) -> list[int]:
    """Pictures that excite a unit most, the most first; of near copies only the first.

    Args:
        activations: (N,) of the unit.
        greys: (N, D) rows of ``standardised``.
    """
    if not np.ptp(activations) > 0:
        return []
    found: list[int] = []
    for image in np.argsort(-activations, kind="stable").tolist():
        if len(found) == most:
            break
        if not found or (greys[found] @ greys[image]).max() <= NEAR_COPY:
            found.append(image)
    return found


def agreements(before: Peaks, after: Peaks) -> NDArray[np.float64]:
    """(C,) correlation of each unit's activations over the pictures; NaN where one of both doesn't vary."""
    rows, others = (standardised(peaks.T) for peaks in (before, after))
    found = np.einsum("cn,cn->c", rows, others, dtype=np.float64)
    return np.where(rows.any(axis=1) & others.any(axis=1), found, np.nan)


def standardised(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows less their mean and of length 1, so that products are correlations; rows that don't vary become zeros."""
    values = rows.astype(np.float64)
    centred = values - values.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    # Rounding makes equal numbers vary by a millionth.
    varies = lengths > 1e-6 * np.maximum(np.linalg.norm(values, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    found: NDArray[np.float64] = np.divide(centred, lengths, out=np.zeros_like(centred), where=varies)
    return found.astype(np.float32)
