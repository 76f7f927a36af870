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
_FEW: Final = 96
"""Longest side below which a copy has few pixels."""
RENDERING: Final = 3
"""Part of the names of kept copies; another number where pixels are read or written differently than before."""


def small_copies(image: Image.Image) -> dict[int, Image.Image]:
    """An upright RGB image made small, by longest side; a smaller image keeps its size."""
    # The small one is made from the large one, which is nearly as good and much faster.
    detail = _fitting(image, DETAIL)
    return {DETAIL: detail, GRID: _fitting(detail, GRID)}


def thumbnail_file(copy: Image.Image) -> bytes:
    """A file of one of ``small_copies``: JPEG, as WebP takes ten times as long; but WebP where there are few pixels.

    Of these a JPEG is mostly its tables. Pages enlarge what is smaller than ``GRID``, so that each flaw would be seen:
    such a JPEG is a better one.
    """
    longest = max(copy.size)
    if longest < _FEW:
        return _webp(copy)
    return _jpeg(copy, quality=82) if longest >= GRID else _jpeg(copy, quality=88, subsampling=0)


def media_type_of(copy: bytes) -> str:
    """The media type of a file that was made here."""
    return "image/webp" if copy[8:12] == b"WEBP" else "image/jpeg"


def copy_to_look_at(image: Image.Image) -> bytes:
    """A JPEG file of an upright RGB image, large enough to look at closely."""
    return _jpeg(_fitting(image, VIEW), quality=92)


def _fitting(image: Image.Image, side: int) -> Image.Image:
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return small


def _webp(image: Image.Image) -> bytes:
    return _file(image, "WEBP", quality=80, method=2)


def _jpeg(image: Image.Image, **options: int) -> bytes:
    return _file(image, "JPEG", **options)


def _file(image: Image.Image, format: str, **options: int) -> bytes:
    # Pillow would carry colour profiles and text along.
    image.info = {}
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()
