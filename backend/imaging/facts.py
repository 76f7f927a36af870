"""What is known of a readable picture besides its pixels."""

from dataclasses import dataclass, field
from typing import Final

from backend.domain.drawn import Drawn
from backend.imaging.origin import Origin

PICTURE_TYPES: Final[dict[str, str]] = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with further pictures behind it, which viewers pass over
    "PNG": "image/png",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "GIF": "image/gif",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
}
"""Formats of pictures that are read, by Pillow's name; found from the bytes, never from the file's name."""

SOUND_TYPES: Final[dict[str, str]] = {
    "WAV": "audio/wav",
    "FLAC": "audio/flac",
    "MP3": "audio/mpeg",
    "OGG": "audio/ogg",
}
"""Sounds, which are drawn as spectrograms (``drawn``)."""

TRACK_TYPES: Final[dict[str, str]] = {"TRACK": "text/csv"}
"""Movements, which are drawn as lines."""

MEDIA_TYPES: Final = PICTURE_TYPES | SOUND_TYPES | TRACK_TYPES
"""Every format that an image of a dataset may have."""

SHOWN_BY_BROWSERS: Final = frozenset({"JPEG", "MPO", "PNG", "WEBP", "BMP", "GIF", "AVIF"})
"""Formats that every present browser shows; of the others it gets a copy."""


def drawn_from(format: str) -> Drawn | None:
    """What an image of this format was drawn from; None where it is a picture."""
    if format in SOUND_TYPES:
        return Drawn.SOUND
    return Drawn.TRACK if format in TRACK_TYPES else None


DRAWN_NOTES: Final = frozenset({"drawn-sound", "drawn-track"})
"""Codes of the notes that every drawn picture has: from what and with which settings it was drawn."""
REMARKS_ON_DRAWN: Final = ("sound-cut", "sound-silent", "track-cut")
"""Codes of what may be worth knowing of a drawn picture besides."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth knowing of a picture that was taken in: a code for programs, a sentence for people."""

    code: str
    message: str

    @property
    def is_remark(self) -> bool:
        """Whether it is about something unusual; from what a picture was drawn is not."""
        return self.code not in DRAWN_NOTES


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Format, upright size in pixels, and what is worth knowing."""

    format: str
    width: int
    height: int
    notes: tuple[Note, ...] = ()
    origin: Origin = field(default=Origin(), compare=False)

    @property
    def media_type(self) -> str:
        """The detected MIME type."""
        return MEDIA_TYPES[self.format]
