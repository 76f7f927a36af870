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
RENDERING: Final = 2
"""Part of the names of kept copies; another number where pixels are read differently than before."""
MEDIA_TYPE: Final = "image/webp"


def small_copies(image: Image.Image) -> dict[int, Image.Image]:
    """An upright RGB image made small, by longest side; a smaller image keeps its size."""
    # The small one is made from the large one, which is nearly as good and much faster.
    detail = _fitting(image, DETAIL)
    return {DETAIL: detail, GRID: _fitting(detail, GRID)}


def thumbnail_file(copy: Image.Image) -> bytes:
    """A WebP file of one of ``small_copies``."""
    return _webp(copy)


def copy_to_look_at(image: Image.Image) -> bytes:
    """A WebP file of an upright RGB image, large enough to look at closely."""
    return _webp(_fitting(image, VIEW), quality=90)


def _fitting(image: Image.Image, side: int) -> Image.Image:
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return small


def _webp(image: Image.Image, quality: int = 80) -> bytes:
    # Pillow would carry colour profiles and text along.
    image.info = {}
    file = io.BytesIO()
    image.save(file, "WEBP", quality=quality, method=2)
    return file.getvalue()
