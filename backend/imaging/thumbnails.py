"""Small copies of images for pages, drawn by us: nothing of the original file but its pixels gets in."""

import io
from typing import Final

from PIL import Image

GRID: Final = 192
DETAIL: Final = 768
SIZES: Final = (GRID, DETAIL)
"""Longest side of a thumbnail, in pixels."""
VIEW: Final = 2560
"""Longest side of a copy to look at, in pixels."""
RENDERING: Final = 3
"""Part of the names of kept copies; another number where pixels are read or written differently than before."""
MEDIA_TYPE: Final = "image/jpeg"
SUFFIX: Final = ".jpg"


def small_copies(image: Image.Image) -> dict[int, Image.Image]:
    """An upright RGB image made small, by longest side; a smaller image keeps its size."""
    # The small one is made from the large one, which is nearly as good and much faster.
    detail = _fitting(image, DETAIL)
    return {DETAIL: detail, GRID: _fitting(detail, GRID)}


def thumbnail_file(copy: Image.Image) -> bytes:
    """A JPEG file of one of ``small_copies``; WebP is a third smaller and takes ten times as long, at each import."""
    if max(copy.size) < GRID:
        # Enlarged on pages, where each flaw would be seen.
        return _jpeg(copy, quality=95, subsampling=0)
    return _jpeg(copy, quality=82)


def copy_to_look_at(image: Image.Image) -> bytes:
    """A JPEG file of an upright RGB image, large enough to look at closely."""
    return _jpeg(_fitting(image, VIEW), quality=92)


def _fitting(image: Image.Image, side: int) -> Image.Image:
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return small


def _jpeg(image: Image.Image, *, quality: int, subsampling: int = 2) -> bytes:
    # Pillow would carry colour profiles and text along.
    image.info = {}
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=subsampling)
    return file.getvalue()
