"""The square that sounds and movements are drawn on."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE: Final = 512
"""Pixels of the whole picture."""
MARGIN: Final = 32
"""Empty pixels on each side: a sixteenth, which is what the cut of 87.5 % in the middle leaves out."""
INSIDE: Final = SIDE - 2 * MARGIN

# From quiet to loud, from slow to fast; the colours of matplotlib's "magma" at nine steps.
_STEPS: Final = (
    (0, 0, 4),
    (28, 16, 68),
    (79, 18, 123),
    (129, 37, 129),
    (181, 54, 122),
    (229, 80, 100),
    (251, 135, 97),
    (254, 194, 135),
    (252, 253, 191),
)


def _colours() -> NDArray[np.uint8]:
    at = np.linspace(0, len(_STEPS) - 1, 256)
    steps = np.array(_STEPS, dtype=np.float64)
    channels = [np.interp(at, np.arange(len(steps)), steps[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


COLOURS: Final[NDArray[np.uint8]] = _colours()
"""(256, 3) RGB, from dark to bright."""
GROUND: Final = _STEPS[0]


def coloured(shares: NDArray[np.float64] | NDArray[np.float32]) -> NDArray[np.uint8]:
    """(..., 3) colours of values in [0, 1]; what lies outside is clipped."""
    levels = np.clip(np.asarray(shares, dtype=np.float64), 0, 1) * 255
    return COLOURS[np.rint(levels).astype(np.intp)]


def framed(inside: Image.Image) -> Image.Image:
    """A drawing of ``INSIDE`` x ``INSIDE`` pixels with the margin around it."""
    whole = Image.new("RGB", (SIDE, SIDE), GROUND)
    whole.paste(inside, (MARGIN, MARGIN))
    return whole
