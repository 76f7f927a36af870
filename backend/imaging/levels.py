"""Greys of more than 8 bits as 8 bits. The same rule for every picture of a kind, never the picture's own range.

Two pictures of a series, one darker than the other, must stay different. So what black and white are
follows from what the file declares, not from the values that happen to be in it
(``docs/decisions/0010-levels-and-colours.md``).
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from backend.imaging.errors import UnreadableImage
from backend.imaging.facts import Note

_STRIP_PIXELS: Final = 1 << 20
_DARK_SHARE: Final = 1 / 16
"""A picture that uses no more of its range has 12 bits in 16, or is very dark."""
_OVERSHOOT: Final = 0.1
"""Filters leave floating-point values a little below black and above white."""

_BITS, _PHOTOMETRIC, _MAX_SAMPLE, _SAMPLE_FORMAT, _S_MIN, _S_MAX = 258, 262, 281, 339, 340, 341
_WHITE_IS_ZERO: Final = 0
_SIGNED: Final = 2


@dataclass(frozen=True, slots=True)
class Levels:
    """What black and white are in a grey picture.

    Attributes:
        black, white: values of the file; None where they are known only from the kind of numbers (floats).
        is_unsigned: whether 32-bit values, which Pillow gives as signed ones, are unsigned.
        white_is_zero: whether the picture is stored as a negative.
    """

    black: float | None
    white: float | None
    is_unsigned: bool = True
    white_is_zero: bool = False

    @classmethod
    def of_bits(cls, bits: int) -> Self:
        """Whole numbers from 0."""
        return cls(0.0, float(2**bits - 1))

    @classmethod
    def of_tags(cls, tags: ImageFileDirectory_v2, mode: str) -> Self:
        """By the tags of a TIFF: kind of numbers, bits, declared range, whether 0 is white."""
        negative = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
        declared = _number(tags.get(_S_MIN)), _number(tags.get(_S_MAX))
        if mode == "F":
            low, high = declared
            is_declared = low is not None and high is not None and low < high
            return cls(low if is_declared else None, high if is_declared else None, white_is_zero=negative)
        bits = int(_number(tags.get(_BITS)) or 1)
        if _number(tags.get(_SAMPLE_FORMAT)) == _SIGNED:
            return cls(-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1, is_unsigned=False, white_is_zero=negative)
        used = declared[1] or _number(tags.get(_MAX_SAMPLE))
        return cls(0.0, _depth_of(used, bits), white_is_zero=negative)


def to_8_bits(image: Image.Image, levels: Levels) -> tuple[Image.Image, Note | None]:
    """A grey image (modes L, I, I;16 and F) as mode L, with a note where it uses next to nothing of its range.

    Raises:
        UnreadableImage: values that aren't numbers, or of which nothing says what is black and what is white.
    """
    strips = list(_strips(image))
    lowest, highest = _extremes(image, strips, levels)
    black, white = _range(levels, lowest, highest)
    made = Image.new("L", image.size)
    for box in strips:
        values = _values(image.crop(box), levels).astype(np.float64)
        share = np.clip((values - black) / (white - black), 0, 1)
        grey = np.round(255 * (1 - share if levels.white_is_zero else share)).astype(np.uint8)
        made.paste(Image.fromarray(grey), box)
    return made, _note(black, white, lowest, highest)


def _strips(image: Image.Image) -> list[tuple[int, int, int, int]]:
    rows = max(1, _STRIP_PIXELS // max(1, image.width))
    return [(0, top, image.width, min(image.height, top + rows)) for top in range(0, image.height, rows)]


def _values(strip: Image.Image, levels: Levels) -> NDArray[np.generic]:
    values = np.asarray(strip)
    if values.dtype == np.int32 and levels.is_unsigned:
        return values.view(np.uint32)
    if values.dtype == np.uint8 and not levels.is_unsigned:
        return values.view(np.int8)
    return values


def _extremes(image: Image.Image, strips: list[tuple[int, int, int, int]], levels: Levels) -> tuple[float, float]:
    lows, highs = [], []
    for box in strips:
        values = _values(image.crop(box), levels)
        lows.append(float(values.min()))
        highs.append(float(values.max()))
    lowest, highest = float(np.min(lows)), float(np.max(highs))
    if not np.isfinite([lowest, highest]).all():
        raise UnreadableImage(
            "image-broken",
            "it has values that aren't numbers, so nothing says how bright they are. Save it once more without them",
        )
    return lowest, highest


def _range(levels: Levels, lowest: float, highest: float) -> tuple[float, float]:
    if levels.black is not None and levels.white is not None:
        return levels.black, levels.white
    for white in (1.0, 255.0):
        if -_OVERSHOOT * white <= lowest and highest <= (1 + _OVERSHOOT) * white:
            return 0.0, white
    raise UnreadableImage(
        "image-range-unknown",
        f"its floating-point values go from {lowest:,.6g} to {highest:,.6g}, and nothing in it says which is black and "
        "which is white. Save it with values from 0 to 1, or as an 8-bit or 16-bit TIFF or PNG",
    )


def _note(black: float, white: float, lowest: float, highest: float) -> Note | None:
    if black < 0 <= lowest < highest:
        return Note(
            "levels-half-unused",
            f"Its values may go from {black:,.6g} to {white:,.6g}, but none is below 0, so it looks washed out. "
            "Save it with unsigned numbers, or as an 8-bit picture.",
        )
    if not 0 < highest - black <= _DARK_SHARE * (white - black):
        return None
    return Note(
        "levels-nearly-unused",
        f"Its brightest value is {highest:,.6g} where white is {white:,.6g}, so it looks nearly black. If its "
        "camera has fewer bits than the file, save it with its full range, or as an 8-bit picture.",
    )


def _depth_of(used: float | None, bits: int) -> float:
    """White, where a largest value is declared that a whole number of bits has; else that of all bits."""
    if used and used.is_integer() and 255 <= used < 2**bits and (int(used) & (int(used) + 1)) == 0:
        return used
    return float(2**bits - 1)


def _number(value: object) -> float | None:
    if isinstance(value, tuple) and value:
        value = value[0]
    try:
        return None if value is None else float(value)  # type: ignore[arg-type]  # whatever the tag has
    except (TypeError, ValueError):
        return None
