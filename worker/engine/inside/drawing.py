"""Filters and patches as pictures."""

import io
from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.domain.inside import Box
from backend.imaging.preprocessing import Pixels, Preprocessing

CELL: Final = 80
"""Side of a patch in a unit's picture, in pixels."""
GAP: Final = 2
FILTER_CELL: Final = 32
"""About the side of a filter in the picture of filters."""
ACROSS: Final = 8
"""Filters in a row."""


def filters_png(filters: NDArray[np.float32]) -> bytes:
    """A PNG of (F, 3, k, k) filters, eight in a row: grey is 0, each filter's largest weight an end of the scale."""
    count, _, height, width = filters.shape
    enlarged = max(1, FILTER_CELL // max(height, width))
    cell_height, cell_width = height * enlarged, width * enlarged
    rows = -(-count // ACROSS)
    sheet = np.zeros((rows * (cell_height + GAP) - GAP, min(count, ACROSS) * (cell_width + GAP) - GAP, 4), np.uint8)
    for number, one in enumerate(filters):
        largest = float(np.abs(one).max()) or 1.0
        levels = np.rint(127.5 + 127.5 * one / largest).astype(np.uint8).transpose(1, 2, 0)
        pixels = levels.repeat(enlarged, axis=0).repeat(enlarged, axis=1)
        row, column = divmod(number, ACROSS)
        top, left = row * (cell_height + GAP), column * (cell_width + GAP)
        sheet[top : top + cell_height, left : left + cell_width, :3] = pixels
        sheet[top : top + cell_height, left : left + cell_width, 3] = 255
    return _file(Image.fromarray(sheet), "PNG", optimize=True)


def cut_out(view: Pixels, square: Box, preprocessing: Preprocessing) -> Image.Image:
    """A square of a view, enlarged or reduced to a patch; outside of the view it has the network's mean colour."""
    ground = tuple(round(255 * mean) for mean in preprocessing.mean)
    side = square.right - square.left
    whole = Image.new("RGB", (side, side), ground)
    whole.paste(Image.fromarray(view), (-square.left, -square.top))
    return whole.resize((CELL, CELL), Image.Resampling.BICUBIC)


def patches_webp(patches: Mapping[int, Image.Image], across: int = 3) -> bytes:
    """A WebP of patches by their places, row by row; the room of those that are missing stays transparent."""
    side = across * (CELL + GAP) - GAP
    sheet = Image.new("RGBA", (side, side))
    for number, patch in patches.items():
        row, column = divmod(number, across)
        sheet.paste(patch, (column * (CELL + GAP), row * (CELL + GAP)))
    return _file(sheet, "WEBP", quality=80)


def _file(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()
