"""The fixed steps before the network, and the random ones of training.

Evaluation: resize so that the short side is ``resize_to`` pixels (Pillow's
antialiased bilinear), cut ``size`` x ``size`` from the middle, scale to [0, 1],
normalise. Training: the same, but the cut lies anywhere and is turned, zoomed
and tilted in one interpolation with mirrored borders, then lit differently.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.domain.json import Json
from backend.domain.training import Augmentation
from backend.imaging.augmentation import Lighting, Movement, random_lighting, random_movement
from backend.imaging.drawn import mel, tracks

Pixels = NDArray[np.uint8]
"""(H, W, 3) RGB."""

MAX_ASPECT: Final = 8
"""Of a picture whose long side is more than so many times its short one, only the middle so many are used.

Making its short side ``resize_to`` pixels long would otherwise take any amount of memory: a line of
1 x 20,000 pixels would become 256 x 5,120,000."""

REDUCING_GAP: Final = 3.0
"""Pillow first shrinks by whole factors down to so many times the wanted size, which is quick and hardly differs."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """All that turns an upright RGB image into the network's input; travels with every checkpoint.

    Attributes:
        size: side of the square that the network sees, in pixels.
        resize_to: short side after resizing, in pixels; at least ``size``.
        mean, std: per channel, of RGB in [0, 1].
    """

    size: int
    resize_to: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def to_json(self) -> dict[str, Json]:
        """As written into checkpoints and exports."""
        return {
            "size": self.size,
            "resize_to": self.resize_to,
            "resize_filter": "bilinear, antialiased (Pillow)",
            "reducing_gap": REDUCING_GAP,
            "max_aspect": MAX_ASPECT,
            "crop": "center",
            "jpeg_draft_short_side": 2 * self.resize_to,
            "orientation": "upright by EXIF",
            "transparency": "on white",
            "color": "RGB",
            "color_space": "sRGB, converted by the embedded ICC profile, else by a PNG's gAMA and cHRM",
            "levels": "8 bits; deeper greys from 0 (or the least signed number) to the largest of their declared bits",
            "range": [0.0, 1.0],
            "mean": list(self.mean),
            "std": list(self.std),
            "sounds": mel.SETTINGS.to_json(),
            "tracks": tracks.settings(),
        }

    def instructions(self) -> tuple[str, ...]:
        """How to make (size, size) RGB pixels from an image file with Pillow, step by step; as ``evaluation_view``."""
        draft = 2 * self.resize_to
        return (
            "Open the file with Pillow. A large JPEG is read smaller: for scale in 8, 4, 2, if the short side is at "
            f"least scale * {draft} and both sides are divisible by scale, call "
            "image.draft(None, (width // scale, height // scale)) and try no other scale.",
            "A JPEG of more than 64 million pixels is read by the smallest such scale that leaves no more.",
            "Turn the image upright by its EXIF orientation (not by XMP), convert its colours to sRGB by its ICC "
            "profile if it has one (ImageCms, relative colorimetric; of a PNG without one, by gAMA and cHRM), put "
            "transparent images on white, and make it 8-bit RGB. Greys of more than 8 bits are scaled from the whole "
            "range of their declared bits, floating-point ones from 0 to 1, never from their own range.",
            f"If the long side is more than {MAX_ASPECT} times the short one, keep the middle of it, so long.",
            f"Resize to max({self.resize_to}, round(side * {self.resize_to} / short side)) for each side, with "
            f"image.resize(..., Image.Resampling.BILINEAR, reducing_gap={REDUCING_GAP}).",
            f"Crop {self.size} x {self.size} from the middle: left = (width - {self.size}) // 2, "
            f"top = (height - {self.size}) // 2.",
        )

    @classmethod
    def from_json(cls, content: dict[str, Json]) -> Self:
        """The inverse of ``to_json``; until November 2026 ``std`` was written as ``deviation``."""
        return cls(
            size=int(content["size"]),
            resize_to=int(content["resize_to"]),
            mean=_triple(content["mean"]),
            std=_triple(content["std"] if "std" in content else content["deviation"]),
        )


def _triple(values: list[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return float(red), float(green), float(blue)


def resized(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """The image with its short side ``resize_to`` pixels long, the long one at most ``MAX_ASPECT`` times that.

    Doing it twice changes nothing.
    """
    image = _without_far_ends(image)
    scale = preprocessing.resize_to / min(image.size)
    width, height = (max(preprocessing.resize_to, round(side * scale)) for side in image.size)
    if image.size == (width, height):
        return image
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=REDUCING_GAP)


def _without_far_ends(image: Image.Image) -> Image.Image:
    """The middle of an image that is too long for its width."""
    longest = MAX_ASPECT * min(image.size)
    width, height = (min(side, longest) for side in image.size)
    if image.size == (width, height):
        return image
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def evaluation_view(image: Image.Image, preprocessing: Preprocessing) -> Pixels:
    """(size, size, 3): what the network sees of an image when nothing is random."""
    whole = resized(image, preprocessing)
    size = preprocessing.size
    left = (whole.width - size) // 2
    top = (whole.height - size) // 2
    return np.array(whole.crop((left, top, left + size, top + size)))


@dataclass(frozen=True, slots=True)
class AugmentationParams:
    """How one random view is taken of a resized image, as drawn.

    Attributes:
        to_source: (3, 3) map of positions (x, y, 1) in pixels, the view's to the resized image's.
        lighting: how it is then lit.
    """

    to_source: NDArray[np.float64]
    lighting: Lighting


def random_params(
    size: tuple[int, int], preprocessing: Preprocessing, augmentation: Augmentation, random: np.random.Generator
) -> AugmentationParams:
    """Draw a look at a resized image of that width and height."""
    width, height = size
    left = random.uniform(0, width - preprocessing.size)
    top = random.uniform(0, height - preprocessing.size)
    movement = random_movement(augmentation, random)
    return AugmentationParams(
        _to_source(movement, preprocessing.size, left, top), random_lighting(augmentation, random)
    )


def training_view(
    image: Image.Image, preprocessing: Preprocessing, augmentation: Augmentation, random: np.random.Generator
) -> Pixels:
    """(size, size, 3): one random view of an image, as training sees it.

    Source: the transforms and ranges of fastai's ``aug_transforms``; composed into
    one perspective map, as there, so that pixels are interpolated once.
    """
    whole = resized(image, preprocessing)
    look = random_params(whole.size, preprocessing, augmentation, random)
    view = _warp(whole, look.to_source, preprocessing.size)
    return np.array(view.point(look.lighting.table()))


def moved(
    whole: Image.Image, movement: Movement, preprocessing: Preprocessing, *, left: float = 0.0, top: float = 0.0
) -> Image.Image:
    """The (size, size) cut at (left, top) of a resized image, moved; in one bilinear interpolation."""
    size = preprocessing.size
    return _warp(whole, _to_source(movement, size, left, top), size)


def _to_source(movement: Movement, size: int, left: float, top: float) -> NDArray[np.float64]:
    """(3, 3): output position -> [-1, 1] -> the movement -> the cut inside the resized image."""
    to_unit = np.array([[2 / size, 0, -1], [0, 2 / size, -1], [0, 0, 1]])
    to_cut = np.array([[size / 2, 0, left + size / 2], [0, size / 2, top + size / 2], [0, 0, 1]])
    mapped: NDArray[np.float64] = to_cut @ movement.map() @ to_unit
    return mapped


def resized_size(width: int, height: int, preprocessing: Preprocessing) -> tuple[int, int]:
    """(width, height) that ``resized`` makes of an image of these sides; of a JPEG read smaller within a pixel."""
    longest = MAX_ASPECT * min(width, height)
    sides = (min(width, longest), min(height, longest))
    scale = preprocessing.resize_to / min(sides)
    wide, high = (max(preprocessing.resize_to, round(side * scale)) for side in sides)
    return wide, high


def view_corners(
    width: int, height: int, preprocessing: Preprocessing, augmentation: Augmentation | None, seed: int
) -> NDArray[np.float64]:
    """(4, 2): where a view's corners lie in the whole image, as shares of its sides, clockwise from the upper left.

    The same view as ``evaluation_view`` has without an augmentation, and as ``training_view`` has with the generator
    of that seed. Shares outside [0, 1] are of borders that are mirrored. No pixel is needed for it.
    """
    whole = resized_size(width, height, preprocessing)
    size = preprocessing.size
    if augmentation is None:
        to_source = np.eye(3)
        to_source[:2, 2] = [(side - size) // 2 for side in whole]
    else:
        to_source = random_params(whole, preprocessing, augmentation, np.random.default_rng(seed)).to_source
    corners = np.array([[0, 0, 1], [size, 0, 1], [size, size, 1], [0, size, 1]], dtype=float) @ to_source.T
    pixels = corners[:, :2] / corners[:, 2:]
    # What a picture that is too long has beyond its middle isn't in the resized one.
    used = np.array([min(side, MAX_ASPECT * min(width, height)) / side for side in (width, height)])
    shares: NDArray[np.float64] = pixels / np.array(whole) * used + (1 - used) / 2
    return shares


def normalise(pixels: Pixels, preprocessing: Preprocessing) -> NDArray[np.float32]:
    """(3, H, W) float32: scaled to [0, 1] and normalised, channels first."""
    scaled = pixels.astype(np.float32) / np.float32(255)
    mean = np.asarray(preprocessing.mean, dtype=np.float32)
    std = np.asarray(preprocessing.std, dtype=np.float32)
    return np.ascontiguousarray(((scaled - mean) / std).transpose(2, 0, 1))


def _warp(image: Image.Image, to_source: NDArray[np.float64], size: int) -> Image.Image:
    """The (size, size) view whose pixel centres lie at ``to_source`` of the output's; borders mirrored."""
    corners = np.array([[0, 0, 1], [size, 0, 1], [0, size, 1], [size, size, 1]], dtype=float) @ to_source.T
    corners = corners[:, :2] / corners[:, 2:]
    overhang = max(-corners.min(), (corners - [image.width, image.height]).max())
    # One pixel more for the neighbour that bilinear interpolation reads.
    margin = int(np.clip(np.ceil(overhang) + 1, 0, 2 * min(image.size)))
    if margin:
        pixels = np.pad(np.asarray(image), ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
        image = Image.fromarray(pixels)
        to_source = np.array([[1, 0, margin], [0, 1, margin], [0, 0, 1.0]]) @ to_source
    # Pillow itself asks for the centre of output pixel (i, j) at (i + 0.5, j + 0.5).
    coefficients = (to_source / to_source[2, 2]).reshape(-1)[:8]
    return image.transform((size, size), Image.Transform.PERSPECTIVE, coefficients.tolist(), Image.Resampling.BILINEAR)
