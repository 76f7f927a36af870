"""Colours as a browser shows them: pixels become sRGB by what the file says of its own colours.

The embedded ICC profile decides (relative colorimetric, LittleCMS). A PNG without one may state its
gamma and primaries. A profile that is broken, or of another kind than the pixels, is ignored.
"""

import functools
import io
import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_PROFILED: Final = frozenset({"JPEG", "MPO", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"})
"""Formats whose profile viewers respect. They ignore one in a GIF."""
_SPACE_OF: Final = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}
"""The colour space of a profile that fits pixels of each mode."""
_SCREEN_GAMMA: Final = 2.2
_NO_DIFFERENCE: Final = 0.05
"""Share by which a gamma without primaries may differ from the screen's and mean just that. Source: libpng."""
_SRGB_PRIMARIES: Final = (0.3127, 0.329, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_D50: Final = (0.9642, 1.0, 0.8249)
# Source: Bradford's cone responses, as ICC.1:2010, annex E, adapts white points.
_BRADFORD: Final = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def to_srgb(image: Image.Image, detected: str, info: dict[str | tuple[int, int], object]) -> Image.Image:
    """An image of mode RGB, L, CMYK or LAB as sRGB.

    Args:
        detected: format of the file, by Pillow's name.
        info: what Pillow found in the file.
    """
    profile = info.get("icc_profile") if detected in _PROFILED else None
    if isinstance(profile, bytes) and profile:
        return _by_profile(image, profile)
    if detected == "PNG" and "srgb" not in info:
        return _by_png_chunks(image, info)
    return _by_profile(image, b"")


def _by_png_chunks(image: Image.Image, info: dict[str | tuple[int, int], object]) -> Image.Image:
    """By the chunks gAMA and cHRM, as Chromium reads them: primaries count only beside a gamma."""
    image, gamma, primaries = image.convert("RGB"), info.get("gamma"), info.get("chromaticity")
    if not isinstance(gamma, int | float) or not 0.001 < gamma < 100:
        return image
    if not isinstance(primaries, tuple):
        if abs(gamma * _SCREEN_GAMMA - 1) < _NO_DIFFERENCE:
            return image
        primaries = _SRGB_PRIMARIES
    try:
        profile = matrix_profile(tuple(float(value) for value in primaries), 1 / gamma)
    except (ValueError, OverflowError, struct.error, np.linalg.LinAlgError):
        return image
    return _by_profile(image, profile)


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    if image.mode == "LAB":
        transform = _transform(profile, "LAB") or _transform(b"", "LAB")
    else:
        transform = _transform(profile, image.mode) if profile else None
        if transform is None and image.mode == "L" and profile:
            # Grey pixels may come with the profile of colours.
            image = image.convert("RGB")
            transform = _transform(profile, "RGB")
    if transform is None:
        return image.convert("RGB")
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None, "not in place"
    return converted


@functools.lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From a profile (for LAB without one: CIELAB of D50) to sRGB; None where it changes nothing or can't be used."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile) if profile else ImageCms.createProfile("LAB"))
        if source.profile.xcolor_space.strip() != _SPACE_OF.get(mode):
            return None
        transform = ImageCms.buildTransform(
            source, ImageCms.createProfile("sRGB"), mode, "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    return None if mode in ("RGB", "L") and _changes_nothing(transform, mode) else transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform is that of sRGB itself, which most photos carry, give or take a rounding."""
    levels = np.arange(0, 256, 17, dtype=np.uint8)
    if mode == "L":
        colours = levels[None, :]
    else:
        colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(16, -1, 3)
    given = Image.fromarray(colours)
    made = ImageCms.applyTransform(given, transform)
    away = np.asarray(made, dtype=int) - np.asarray(given.convert("RGB"), dtype=int)
    return bool(np.abs(away).max() <= 1)


@functools.lru_cache(maxsize=16)
def matrix_profile(primaries: tuple[float, ...], gamma: float) -> bytes:
    """A small ICC profile of RGB colours.

    Args:
        primaries: chromaticities (x, y) of white, red, green and blue: eight numbers, as a PNG lists them.
        gamma: exponent from stored levels to light.

    Raises:
        ValueError, LinAlgError, struct.error: no colours are like that.
    """
    if len(primaries) != 8:
        raise ValueError("four chromaticities have eight numbers")
    white, *colours = (_xyz(*primaries[at : at + 2]) for at in range(0, 8, 2))
    columns = np.stack(colours, axis=1)
    columns = columns * np.linalg.solve(columns, white)
    adapted = _adaptation(white) @ columns
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    parts = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 4) + b"PNG\0" + b"\0" * 80,
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": _xyz_tag(np.array(_D50)),
        b"rXYZ": _xyz_tag(adapted[:, 0]),
        b"gXYZ": _xyz_tag(adapted[:, 1]),
        b"bXYZ": _xyz_tag(adapted[:, 2]),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, data = struct.pack(">I", len(parts)), b""
    start = 128 + 4 + 12 * len(parts)
    for name, content in parts.items():
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content
    head = struct.pack(">I4xI4s4s4s", start + len(data), 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    head = (head + bytes(12) + b"acsp").ljust(68, b"\0") + _numbers(np.array(_D50))
    return head.ljust(128, b"\0") + table + data


def _xyz(x: float, y: float) -> NDArray[np.float64]:
    if not (0 <= x <= 1 and 0 < y <= 1):
        raise ValueError("no chromaticity")
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adaptation(white: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3): from light under ``white`` to what looks alike under D50."""
    seen_as = (_BRADFORD @ np.array(_D50)) / (_BRADFORD @ white)
    adaptation: NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ np.diag(seen_as) @ _BRADFORD
    return adaptation


def _xyz_tag(value: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + _numbers(value)


def _numbers(value: NDArray[np.float64]) -> bytes:
    return b"".join(struct.pack(">i", round(float(one) * 65536)) for one in value)
