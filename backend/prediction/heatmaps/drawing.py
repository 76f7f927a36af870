"""Heat maps as transparent pictures, to be laid over the whole upright picture."""

import io
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from backend.imaging.preprocessing import Preprocessing, view_corners

LONG_SIDE: Final = 384
"""Pixels; a heat map is smooth, so it may be shown much larger."""
_STOPS: Final = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))
"""From nothing to the strongest part: matplotlib's “inferno”, whose brightness rises evenly for every kind of sight."""
_FAINTEST, _FULL = 0.08, 0.8
"""Weaker parts than the first are transparent, stronger ones than the second as opaque as can be."""
_MOST_OPAQUE: Final = 205
_OUTLINE: Final = ((0, 0, 0), (16, 18, 20), (255, 255, 255))
"""Nothing, the line's dark edge, the line: it is seen on dark and on bright pictures."""
_HALF: Final = 0.5


class Style(StrEnum):
    """How a heat map looks: colours, or a line around the parts that hold half of the evidence."""

    COLOUR = "colour"
    OUTLINE = "outline"


def drawn(heat: NDArray[np.float32], size: tuple[int, int], preprocessing: Preprocessing, style: Style) -> bytes:
    """A PNG with the sides' ratio of the whole picture; what the network didn't see of it stays transparent.

    Args:
        heat: (h, w) in 0 to 1, of the square that the network sees.
        size: width and height of the upright picture.
    """
    width, height = (max(1, round(side * LONG_SIDE / max(size))) for side in size)
    corners = view_corners(*size, preprocessing, None, 0)
    first, last = (np.rint(corner * (width, height)).astype(int) for corner in (corners[0], corners[2]))
    (left, top), (right, bottom) = first.tolist(), np.maximum(last, first + 1).tolist()
    seen = Image.fromarray(heat).resize((right - left, bottom - top), Image.Resampling.BICUBIC)
    whole = np.zeros((height, width), np.uint8)
    whole[top:bottom, left:right] = np.clip(np.asarray(seen) * 255, 0, 255)
    return _coloured(whole) if style is Style.COLOUR else _outlined(whole)


def _coloured(levels: NDArray[np.uint8]) -> bytes:
    steps = np.arange(256) / 255
    stops = np.linspace(0, 1, len(_STOPS))
    palette = np.stack([np.interp(steps, stops, channel) for channel in zip(*_STOPS, strict=True)], axis=1)
    opacity = np.clip((steps - _FAINTEST) / (_FULL - _FAINTEST), 0, 1) * _MOST_OPAQUE
    return _png(levels, palette.astype(np.uint8).tobytes(), opacity.astype(np.uint8).tobytes())


def _outlined(levels: NDArray[np.uint8]) -> bytes:
    """A line around the smallest area that holds half of the evidence."""
    strongest = np.sort(levels, axis=None)[::-1].astype(np.int64)
    last = int(np.searchsorted(np.cumsum(strongest), _HALF * strongest.sum()))
    inside = Image.fromarray((levels >= max(1, int(strongest[last]))).astype(np.uint8) * 255)
    edge = np.asarray(inside.filter(ImageFilter.MaxFilter(3))) != np.asarray(inside.filter(ImageFilter.MinFilter(3)))
    around = np.asarray(Image.fromarray(edge.astype(np.uint8)).filter(ImageFilter.MaxFilter(3)))
    return _png(around + edge, np.array(_OUTLINE, np.uint8).tobytes(), bytes((0, 190, 255)))


def _png(indices: NDArray[np.uint8], palette: bytes, opacity: bytes) -> bytes:
    image = Image.fromarray(indices.astype(np.uint8))
    image.putpalette(palette)
    file = io.BytesIO()
    image.save(file, "PNG", transparency=opacity)
    return file.getvalue()
