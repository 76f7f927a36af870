"""Flags that follow from a picture's size and names alone; filters and lists use the same conditions."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import ColumnElement, Text, and_, cast, func, or_, select

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
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),
    "WAV": (".wav", ".wave"),
    "FLAC": (".flac",),
    "MP3": (".mp3",),
    "OGG": (".ogg", ".oga", ".opus"),
}
"""Endings that a name may have, by the format of the file; names of other formats are not checked."""


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


def _has_note(code: str) -> ColumnElement[bool]:
    # Both databases keep JSON as text.
    return cast(ImageRow.notes, Text).contains(f'"{code}"', autoescape=True)


_WIDTH, _HEIGHT = ImageRow.width, ImageRow.height
FLAGS: Final[Mapping[str, ColumnElement[bool]]] = {
    # The same bytes came under several names.
    "exact_duplicate": _has_several_names(),
    "tiny": or_(_WIDTH < TINY_SIDE, _HEIGHT < TINY_SIDE),
    "huge": _WIDTH * _HEIGHT > HUGE_PIXELS,
    "odd_aspect": or_(_WIDTH > ODD_ASPECT * _HEIGHT, _HEIGHT > ODD_ASPECT * _WIDTH),
    "wrong_extension": _has_wrong_ending(),
    # Said when the picture was read (``backend.imaging``).
    "pages_left_out": _has_note("pages-left-out"),
    "frames_left_out": _has_note("frames-left-out"),
    "levels_nearly_unused": _has_note("levels-nearly-unused"),
    "levels_half_unused": _has_note("levels-half-unused"),
    "drawn_sound": _has_note("drawn-sound"),
    "drawn_track": _has_note("drawn-track"),
    "sound_cut": _has_note("sound-cut"),
    "sound_silent": _has_note("sound-silent"),
    "track_cut": _has_note("track-cut"),
}

FLAG_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "exact_duplicate": ("Added under several names", "The same file came under several names. It counts once."),
    "tiny": ("Very small", f"One side has fewer than {TINY_SIDE} pixels, so the network sees mostly blur."),
    "huge": ("Very large", f"It has more than {HUGE_PIXELS // 10**6} million pixels, which takes long to read."),
    "odd_aspect": (
        "Very long or very wide",
        f"One side is more than {ODD_ASPECT} times as long as the other; the network sees only a part of it.",
    ),
    "wrong_extension": (
        "Name ends in another format",
        "Its name ends as that of another format. It is read all the same.",
    ),
    "pages_left_out": ("Pages left out", "It has several pages; only the first is used."),
    "frames_left_out": ("Frames left out", "It is an animation; only its first frame is used."),
    "levels_nearly_unused": (
        "Nearly black",
        "It uses a small part of its range of brightness, so it looks nearly black.",
    ),
    "levels_half_unused": ("Washed out", "It uses only half of its range of brightness, so it looks washed out."),
    "drawn_sound": ("Drawn from a sound", "It shows a sound: time to the right, pitch upwards."),
    "drawn_track": ("Drawn from a movement", "It shows a movement as a line."),
    "sound_cut": ("Only its beginning", "Of a long sound only the beginning is used."),
    "sound_silent": ("Nearly silent", "The sound is nearly silent, so there is hardly anything to see."),
    "track_cut": ("Only its beginning", "Of a long movement only the beginning is used."),
}
"""A flag in a few words, and what it means."""
