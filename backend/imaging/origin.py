"""What a picture's file says of where it comes from: camera, time, how it was stored."""

import re
from dataclasses import dataclass
from typing import Final

from PIL import Image

_MAKE, _MODEL, _CHANGED_AT = 0x010F, 0x0110, 0x0132
_DETAILS: Final = 0x8769
_TAKEN_AT: Final = 0x9003
_TIME: Final = re.compile(r"(\d{4}):(\d\d):(\d\d)[ T](\d\d):(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class Origin:
    """Facts of a file that have nothing to do with what its picture shows.

    Attributes:
        mode: how pixels are stored, by Pillow's name: ``RGB``, ``L``, ``P`` …
        orientation: how the camera was held, by EXIF: 1 (upright) to 8.
        camera: make and model, or empty.
        taken_at: the camera's own time as ``2026-11-29T14:03:11``, which knows no zone; or None.
        coarseness: mean of a JPEG's first table of quantisation: the greater, the smaller the file; 0 for other files.
    """

    mode: str = ""
    orientation: int = 1
    camera: str = ""
    taken_at: str | None = None
    coarseness: float = 0.0


def origin_of(image: Image.Image, mode: str, orientation: int) -> Origin:
    """What the file of an opened image says of itself; what can't be read is left out."""
    camera, taken_at = "", None
    if notes := image.info.get("exif"):
        exif = Image.Exif()
        try:
            exif.load(notes)
            camera = " ".join(part for part in (_text(exif.get(_MAKE)), _text(exif.get(_MODEL))) if part)
            taken_at = _time(exif.get_ifd(_DETAILS).get(_TAKEN_AT)) or _time(exif.get(_CHANGED_AT))
        except Exception:  # the EXIF reader raises whatever its broken bytes lead to; the pixels are fine
            pass
    return Origin(mode, orientation, camera[:80], taken_at, _coarseness(image))


def _text(value: object) -> str:
    return "".join(sign for sign in value if sign.isprintable()).strip()[:40] if isinstance(value, str) else ""


def _time(value: object) -> str | None:
    found = _TIME.match(value) if isinstance(value, str) else None
    if found is None or found[1] == "0000":
        return None
    return f"{found[1]}-{found[2]}-{found[3]}T{found[4]}:{found[5]}:{found[6]}"


def _coarseness(image: Image.Image) -> float:
    tables = getattr(image, "quantization", None)
    if not tables:
        return 0.0
    first = next(iter(tables.values()))
    return round(float(sum(first)) / len(first), 1)
