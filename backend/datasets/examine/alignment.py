"""Whether two small grey pictures are one picture: aligned first, so that a slight crop doesn't hide it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE: Final = 64
"""Pixels of a side of the grey versions, whatever the shape of the picture."""
_COARSE: Final = SIDE // 2
_ITERATIONS: Final = 6
_FINE_ITERATIONS: Final = 4
"""Steps at half the side, from no shift at all, and then at all pixels."""
_MOST_STRETCH: Final = 0.2
_BLOCKS: Final = 8
_AT_ONCE: Final = 128
_FLAT: Final = 2.0
"""Grey values of standard deviation below which a picture shows nothing that could be compared."""

_HOPELESS: Final = 0.4
_UNLIKE: Final = 0.75
"""Correlation after the coarse alignment below which the fine one, which takes most of the time, leads nowhere."""
"""Correlation before any alignment, below which none is tried: that of slight crops is far above."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far P pairs of pictures agree after alignment.

    Attributes:
        correlation: (P,) of all grey values where both have some, -1 to 1.
        worst: (P,) the strongest disagreement of any of 6 x 6 inner parts, as a share of the pictures' contrast. A
            recompressed copy differs a little everywhere, the next photograph of a burst much where something moved.
            Both are smoothed before: single pixels differ after any resizing, and say nothing.
    """

    correlation: Floats
    worst: Floats


def small_grey(image: Image.Image) -> NDArray[np.uint8]:
    """(64, 64) grey values of a picture."""
    # Not by boxes: of 100 pixels, say, some of these would hold two and others one, depending on where a crop begins.
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def agreement(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Agreement:
    """Align each second picture with the first and compare them.

    Both are (P, 64, 64) grey values. The alignment (Lucas and Kanade 1981) shifts and stretches along both axes, up to
    a fifth; turns and flips are the caller's.
    """
    parts = [
        _compared(first[start : start + _AT_ONCE], second[start : start + _AT_ONCE])
        for start in range(0, len(first), _AT_ONCE)
    ]
    if not parts:
        return Agreement(np.zeros(0, dtype=np.float32), np.zeros(0, dtype=np.float32))
    return Agreement(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))


def turned(grey: NDArray[np.uint8], turns: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(P, 64, 64) pictures turned as ``turned_hashes`` numbers the flips and turns."""
    found = np.empty_like(grey)
    for turn in np.unique(turns):
        at = turns == turn
        part = grey[at].transpose(0, 2, 1) if turn >= 4 else grey[at]
        if turn % 2:
            part = part[:, :, ::-1]
        if turn % 4 >= 2:
            part = part[:, ::-1]
        found[at] = part
    return found


def _compared(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    large, other = first.astype(np.float32), second.astype(np.float32)
    is_flat = (large.std(axis=(1, 2)) < _FLAT) | (other.std(axis=(1, 2)) < _FLAT)
    coarse, coarse_other = _standard(_halved(large)), _standard(_halved(other))
    before = (coarse * coarse_other).mean(axis=(1, 2))
    correlation, worst = np.where(is_flat, 0, before).astype(np.float32), np.ones(len(first), dtype=np.float32)
    near = np.flatnonzero(~is_flat & (before > _HOPELESS))
    large, other = large[near], other[near]
    steps = np.zeros((len(near), 4), dtype=np.float32)
    steps = _aligned(coarse[near], coarse_other[near], steps, _ITERATIONS)
    correlation[near] = _correlation(coarse[near], *_moved(coarse_other[near], steps))
    alike = correlation[near] > _UNLIKE
    near, steps, large, other = near[alike], steps[alike], large[alike], other[alike]
    # Half a pixel of the coarse pictures is a whole edge of the fine ones.
    steps = _aligned(_standard(large), _standard(other), steps, _FINE_ITERATIONS)
    moved, inside = _moved(_smoothed(other), steps)
    correlation[near], worst[near] = _agreement_of(_smoothed(large), moved, inside)
    return correlation, worst


_SIXTEENTH: Final = np.float32(1 / 16)


def _smoothed(pictures: Floats) -> Floats:
    """By 1, 4, 6, 4, 1 along both axes."""
    for _ in range(2):
        wide = np.pad(pictures, ((0, 0), (1, 1), (1, 1)), mode="edge")
        tall = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
        pictures = (tall[:, :, :-2] + 2 * tall[:, :, 1:-1] + tall[:, :, 2:]) * _SIXTEENTH
    return pictures


def _halved(pictures: Floats) -> Floats:
    found: Floats = pictures.reshape(len(pictures), _COARSE, 2, _COARSE, 2).mean(axis=(2, 4))
    return found


def _standard(pictures: Floats) -> Floats:
    centred = pictures - pictures.mean(axis=(1, 2), keepdims=True)
    found: Floats = centred / np.maximum(pictures.std(axis=(1, 2), keepdims=True), 1e-3)
    return found


def _aligned(fixed: Floats, moving: Floats, steps: Floats, iterations: int) -> Floats:
    """(P, 4): stretch and shift along x, then along y, of coordinates from -1 to 1; ``steps`` made better."""
    count, side, _ = fixed.shape
    grid = _coordinates(side)
    for _ in range(iterations):
        seen, inside = _moved(moving, steps)
        down, across = np.gradient(seen, 2 / side, axis=(1, 2))
        across *= inside
        down *= inside
        slopes = np.stack([across * grid[None, None, :], across, down * grid[None, :, None], down], axis=1)
        slopes = slopes.reshape(count, 4, side * side)
        missing = ((fixed - seen) * inside).reshape(count, side * side, 1)
        square = slopes @ slopes.transpose(0, 2, 1) + np.eye(4, dtype=np.float32)
        steps = np.clip(steps + np.linalg.solve(square, slopes @ missing)[..., 0], -_MOST_STRETCH, _MOST_STRETCH)
    return steps


def _moved(pictures: Floats, steps: Floats) -> tuple[Floats, Floats]:
    """Pictures seen through their steps, and where that is inside of them (1, else 0)."""
    side = pictures.shape[1]
    grid = _coordinates(side)
    x, x_inside = _places(grid, steps[:, 0], steps[:, 1], side)
    y, y_inside = _places(grid, steps[:, 2], steps[:, 3], side)
    # Both axes are independent, so each is a small matrix of weights.
    found = np.matmul(np.matmul(y, pictures), x.transpose(0, 2, 1))
    return found, y_inside[:, :, None] * x_inside[:, None, :]


def _places(grid: Floats, stretch: Floats, shift: Floats, side: int) -> tuple[Floats, Floats]:
    """(P, side, side) weights of linear interpolation, and (P, side) whether a place is inside."""
    at = ((1 + stretch)[:, None] * grid[None] + shift[:, None] + 1) * (side / 2) - 0.5
    inside = ((at >= -0.5) & (at <= side - 0.5)).astype(np.float32)
    at = np.clip(at, 0, side - 1)
    weights = np.maximum(0, 1 - np.abs(at[..., None] - np.arange(side, dtype=np.float32)))
    return weights.astype(np.float32), inside


def _coordinates(side: int) -> Floats:
    return ((2 * np.arange(side) + 1) / side - 1).astype(np.float32)


def _centred(pictures: Floats, inside: Floats) -> Floats:
    """What the pictures differ from their mean inside; 0 elsewhere."""
    share = np.maximum(inside.sum(axis=(1, 2), keepdims=True), 1)
    mean = (pictures * inside).sum(axis=(1, 2), keepdims=True) / share
    found: Floats = (pictures - mean) * inside
    return found


def _correlation(fixed: Floats, moved: Floats, inside: Floats) -> Floats:
    one, two = _centred(fixed, inside), _centred(moved, inside)
    squares = (one * one).sum(axis=(1, 2)) * (two * two).sum(axis=(1, 2))
    found: Floats = (one * two).sum(axis=(1, 2)) / np.sqrt(np.maximum(squares, 1e-6))
    return found


def _agreement_of(fixed: Floats, moved: Floats, inside: Floats) -> tuple[Floats, Floats]:
    one, two = _centred(fixed, inside), _centred(moved, inside)
    of_one, of_two = (one * one).sum(axis=(1, 2)), (two * two).sum(axis=(1, 2))
    both = (one * two).sum(axis=(1, 2))
    correlation = both / np.sqrt(np.maximum(of_one * of_two, 1e-6))
    gain = both / np.maximum(of_two, 1e-6)
    rest = (one - gain[:, None, None] * two) ** 2
    size = SIDE // _BLOCKS
    blocks = rest.reshape(len(rest), _BLOCKS, size, _BLOCKS, size).mean(axis=(2, 4))
    contrast = of_one / np.maximum(inside.sum(axis=(1, 2)), 1)
    # Without the outermost parts: there a crop leaves next to nothing to compare.
    inner = blocks[:, 1:-1, 1:-1].max(axis=(1, 2))
    worst = np.sqrt(inner / np.maximum(contrast, 1e-6))
    return correlation.astype(np.float32), worst.astype(np.float32)
