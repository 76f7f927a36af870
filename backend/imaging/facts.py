"""What is known of a readable picture besides its pixels."""

from dataclasses import dataclass, field
from typing import Final

from backend.imaging.origin import Origin

MEDIA_TYPES: Final[dict[str, str]] = {
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
"""Formats that are read, by Pillow's name; found from the bytes, never from the file's name."""

SHOWN_BY_BROWSERS: Final = frozenset({"JPEG", "MPO", "PNG", "WEBP", "BMP", "GIF", "AVIF"})
"""Formats that every present browser shows; of the others it gets a copy."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth knowing of a picture that was taken in: a code for programs, a sentence for people."""

    code: str
    message: str


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
