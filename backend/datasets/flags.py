"""What can be said of a picture by its measures and its names alone; filters and lists use the same conditions."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import ColumnElement, and_, func, or_, select

from backend.tables.datasets import ImagePathRow, ImageRow

TINY_SIDE: Final = 32
"""Pixels of the shorter side, below which a picture is tiny."""
HUGE_PIXELS: Final = 50_000_000
ODD_ASPECT: Final = 5
"""Times that the longer side is as long as the shorter one, above which the shape is odd."""
_ENDINGS: Final = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg", ".jpe", ".mpo"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
}
"""Endings that a name may have, by the format that the bytes say; other formats aren't judged."""


def _has_wrong_ending() -> ColumnElement[bool]:
    name = func.lower(ImageRow.path)
    return or_(
        *(
            and_(func.upper(ImageRow.format) == format, ~or_(*(name.endswith(ending) for ending in endings)))
            for format, endings in _ENDINGS.items()
        )
    )


def _has_several_names() -> ColumnElement[bool]:
    names = select(func.count()).where(ImagePathRow.image_id == ImageRow.id).correlate(ImageRow).scalar_subquery()
    return names > 1


_WIDTH, _HEIGHT = ImageRow.width, ImageRow.height
FLAGS: Final[Mapping[str, ColumnElement[bool]]] = {
    # The same bytes came under several names.
    "exact_duplicate": _has_several_names(),
    "tiny": or_(_WIDTH < TINY_SIDE, _HEIGHT < TINY_SIDE),
    "huge": _WIDTH * _HEIGHT > HUGE_PIXELS,
    "odd_aspect": or_(_WIDTH > ODD_ASPECT * _HEIGHT, _HEIGHT > ODD_ASPECT * _WIDTH),
    "wrong_extension": _has_wrong_ending(),
}
