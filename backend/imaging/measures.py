"""Measures of a picture's pixels, taken once when it arrives: what the health check and the search for copies read."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.domain.json import Json
from backend.imaging.origin import Origin
from backend.imaging.thumbnails import DETAIL, GRID, small_copies

METHOD: Final = 1
"""Version of the measuring; another number where the same picture gives other measures than before."""
SMALL: Final = 64
"""Longest side at which brightness, colours and information are measured, in pixels.

Sharpness is measured on the copy for grids: at 64 pixels, slight blur doesn't show.
"""
HASH_SIDE: Final = 32
HASH_TERMS: Final = 8


@dataclass(frozen=True, slots=True)
class Measures:
    """Measures of one upright picture, named as the columns of ``ImageMeasuresRow``.

    Attributes:
        perceptual_hash: signs of the 8 x 8 lowest terms of the cosine transform, as 64 bits in a signed number.
        pixels: hash of size and pixels.
        dark, light: 5th and 99th percentile of brightness, in 0 to 1.
        brightness: mean brightness, in 0 to 1.
        entropy: of the grey values, in bits: 0 for a blank picture, 8 at most.
        sharpness: steepest change of brightness between neighbours as a share of the contrast: low where blurred.
        traits: what else could tell a class without looking at what is shown.
        taken_at: the camera's own time, or None.
        method: version of the measuring.
    """

    perceptual_hash: int
    pixels: str
    dark: float
    light: float
    brightness: float
    entropy: float
    sharpness: float
    traits: dict[str, Json]
    taken_at: str | None = None
    method: int = METHOD


def measure(
    image: Image.Image, origin: Origin | None = None, copies: Mapping[int, Image.Image] | None = None
) -> Measures:
    """Measure an upright RGB image.

    Args:
        image: all of its pixels.
        origin: what its file says of itself.
        copies: ``small_copies`` of it, where they have been made already.
    """
    origin, copies = origin or Origin(), copies or small_copies(image)
    fine = copies[GRID]
    fine_grey = fine.convert("L")
    small = fine.reduce(-(-max(fine.size) // SMALL))
    grey = small.convert("L")
    counts = np.array(grey.histogram())
    dark, light = _percentiles(counts, (0.05, 0.99))
    return Measures(
        perceptual_hash=perceptual_hash(fine_grey),
        pixels=pixel_hash(image, copies[DETAIL]),
        dark=_rounded(dark / 255),
        light=_rounded(light / 255),
        brightness=_rounded(counts @ _GREYS / counts.sum() / 255),
        entropy=_rounded(grey.entropy()),
        sharpness=_rounded(_sharpness(fine_grey)),
        traits=_traits(small, origin),
        taken_at=origin.taken_at,
    )


def pixel_hash(image: Image.Image, detail: Image.Image) -> str:
    """64 hexadecimal digits that two images share where their size and pixels are the same.

    Of images larger than ``detail``, that copy's pixels and the counts of all colours are taken: having every pixel
    as bytes would take a third of the time that decoding takes.
    """
    found = hashlib.sha256(f"{image.mode} {image.width} {image.height} ".encode())
    found.update(detail.tobytes())
    if image.size != detail.size:
        found.update(np.array(image.histogram(), dtype="<u4").tobytes())
    return found.hexdigest()


def perceptual_hash(grey: Image.Image) -> int:
    """64 bits as a signed number; of pictures that look alike, few bits differ.

    Unlike the usual pHash, bits are the terms' signs and not compared with their median (which is close to 0), so that
    the hashes of the picture's flips and turns follow from its own (``turned_hashes``).
    """
    pixels = np.asarray(grey.resize((HASH_SIDE, HASH_SIDE), Image.Resampling.BOX), dtype=np.float32)
    terms = _COSINES @ pixels @ _COSINES.T
    bits = terms > 0
    bits[0, 0] = False  # the mean, which is always positive
    return int(np.packbits(bits.ravel()).view(">i8")[0])


def turned_hashes(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(8, N): hashes of the 8 flips and turns of pictures with these (N,) hashes; the first are the given ones.

    A flip negates the odd terms of its direction, a turn by 90 degrees is a flip of the transposed picture.
    """
    octets = np.ascontiguousarray(hashes, dtype=">u8").view(np.uint8).reshape(-1, 8)
    bits = np.unpackbits(octets, axis=1).reshape(-1, HASH_TERMS, HASH_TERMS)
    found = []
    for base in (bits, bits.transpose(0, 2, 1)):
        for flip in (_NONE, _SIDEWAYS, _UPSIDE, _SIDEWAYS ^ _UPSIDE):
            packed = np.packbits((base ^ flip).reshape(-1, 64), axis=1)
            found.append(packed.view(">u8").ravel().astype(np.uint64))
    return np.stack(found)


_GREYS: Final = np.arange(256)
_POSITIONS = np.arange(HASH_SIDE)
_COSINES: Final = np.cos(np.pi * np.outer(np.arange(HASH_TERMS), 2 * _POSITIONS + 1) / (2 * HASH_SIDE)).astype(
    np.float32
)
_ODD = (np.arange(HASH_TERMS) % 2).astype(np.uint8)
_NONE: Final = np.zeros((HASH_TERMS, HASH_TERMS), dtype=np.uint8)
_SIDEWAYS: Final = np.tile(_ODD, (HASH_TERMS, 1))
_UPSIDE: Final = _SIDEWAYS.T


def _sharpness(grey: Image.Image) -> float:
    """How steep the steepest half percent of changes are, as a share of the contrast; 1 where it can't be said.

    A few sharp places are enough: a portrait before a blurred background is sharp.
    """
    low, high = _percentiles(np.array(grey.histogram()), (0.01, 0.99))
    if min(grey.size) < 8 or high - low < 8:
        return 1.0
    rows = np.asarray(grey).astype(np.int16)
    bends = 4 * rows[1:-1, 1:-1] - rows[:-2, 1:-1] - rows[2:, 1:-1] - rows[1:-1, :-2] - rows[1:-1, 2:]
    steep = np.bincount(np.abs(bends).ravel(), minlength=1)
    return _percentiles(steep, (0.995,))[0] / (high - low)


def _percentiles(counts: NDArray[np.int64], shares: tuple[float, ...]) -> list[int]:
    """The grey values below which these shares of the pixels lie."""
    return [int(value) for value in np.searchsorted(np.cumsum(counts), np.array(shares) * counts.sum())]


def _traits(small: Image.Image, origin: Origin) -> dict[str, Json]:
    colours = np.asarray(small)
    border = np.concatenate([colours[0], colours[-1], colours[1:-1, 0], colours[1:-1, -1]])
    red, green, blue = colours[..., 0], colours[..., 1], colours[..., 2]
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    found: dict[str, Json] = {
        "mode": origin.mode,
        "border": [round(float(value)) for value in border.mean(axis=0)],
        "border_spread": round(float(border.std(axis=0).mean()), 1),
        "colour": round(float(spread.mean()), 1),
    }
    # Only where there is something to say: there is a row for each picture.
    if origin.orientation != 1:
        found["orientation"] = origin.orientation
    if origin.camera:
        found["camera"] = origin.camera
    if origin.coarseness:
        found["coarseness"] = origin.coarseness
    return found


def _rounded(value: float) -> float:
    # Five digits tell steps of 1 / 255 apart, and rows stay short.
    return round(float(value), 5)
