"""What an image file says of itself: the kind of its colours, and what cameras write (EXIF), as short plain text.

Only the fields below are read. Everything else stays in the file, because anybody may have written anything there: of a
place (GPS) it is said that there is one, never where.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from PIL import ExifTags, Image

from backend.imaging.decoding import opened

_LONGEST: Final = 120
"""Characters that are kept of one field."""
_MODES: Final[Mapping[str, str]] = {
    "1": "black and white",
    "L": "greys",
    "LA": "greys with transparency",
    "I": "greys of 32 bits",
    "F": "greys of 32 bits (floating point)",
    "I;16": "greys of 16 bits",
    "P": "a palette of colours",
    "PA": "a palette with transparency",
    "RGB": "colours (RGB)",
    "RGBA": "colours with transparency (RGBA)",
    "CMYK": "colours for printing (CMYK)",
    "YCbCr": "colours (YCbCr)",
    "LAB": "colours (Lab)",
}
_TEXTS: Final = (
    ("Camera", ExifTags.Base.Make, ExifTags.Base.Model),
    ("Lens", ExifTags.Base.LensModel),
    ("Taken", ExifTags.Base.DateTimeOriginal),
    ("Software", ExifTags.Base.Software),
)
_TURNED: Final = {
    2: "mirrored",
    3: "upside down",
    4: "mirrored and upside down",
    5: "mirrored and on its side",
    6: "on its side",
    7: "mirrored and on its side",
    8: "on its side",
}


@dataclass(frozen=True, slots=True)
class FileAbout:
    """What a file says of itself.

    Attributes:
        colours: the kind of its colours, in words.
        stored: (width, height) in pixels as they lie in the file, before it is turned upright.
        turned: how it lies in the file, in words; empty where it is upright.
        exif: (name, value) of what the camera wrote.
        has_place: whether it says where it was taken.
    """

    colours: str
    stored: tuple[int, int]
    turned: str
    exif: tuple[tuple[str, str], ...]
    has_place: bool


def about(content: bytes) -> FileAbout:
    """What a file says of itself, from its header alone.

    Raises:
        UnreadableImage: it can't be opened.
    """
    image = opened(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fields, has_place, orientation = _fields(image)
    except Exception:  # damaged EXIF raises whatever its parser comes upon; the picture itself is none the worse
        fields, has_place, orientation = {}, False, 1
    colours = _MODES.get(image.mode, image.mode)
    return FileAbout(colours, image.size, _TURNED.get(orientation, ""), tuple(_exif(fields)), has_place)


def _fields(image: Image.Image) -> tuple[dict[int, Any], bool, int]:  # Any: whatever somebody wrote into the file
    exif = image.getexif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    has_place = bool(exif.get_ifd(ExifTags.IFD.GPSInfo))
    orientation = exif.get(ExifTags.Base.Orientation, 1)
    return dict(exif) | dict(details), has_place, orientation if isinstance(orientation, int) else 1


def _exif(fields: Mapping[int, Any]) -> list[tuple[str, str]]:  # Any: as above
    found = [(name, " ".join(filter(None, (_text(fields.get(tag)) for tag in tags)))) for name, *tags in _TEXTS]
    exposure, aperture = _number(fields.get(ExifTags.Base.ExposureTime)), _number(fields.get(ExifTags.Base.FNumber))
    length, speed = _number(fields.get(ExifTags.Base.FocalLength)), fields.get(ExifTags.Base.ISOSpeedRatings)
    if exposure:
        found.append(("Exposure", f"1/{round(1 / exposure)} s" if exposure < 0.5 else f"{exposure:g} s"))
    if aperture:
        found.append(("Aperture", f"f/{aperture:.3g}"))
    if length:
        found.append(("Focal length", f"{length:.4g} mm"))
    if isinstance(speed, int) and 0 < speed < 10**7:
        found.append(("Sensitivity", f"ISO {speed}"))
    return [(name, value) for name, value in found if value]


def _text(value: object) -> str:
    """Printable characters of a text, in one line."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    plain = "".join(sign if sign.isprintable() else " " for sign in value[: 10 * _LONGEST])
    return " ".join(plain.split())[:_LONGEST]


def _number(value: object) -> float | None:
    """A positive number of ordinary size."""
    try:
        number = float(Fraction(str(value))) if value is not None else 0.0
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if 1e-6 < number < 1e6 else None
