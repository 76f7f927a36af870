"""What is done with bytes that strangers sent; called in decoding processes (``pool``), never in the web process."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from backend.domain.training import Augmentation
from backend.imaging.about import FileAbout, about
from backend.imaging.decoding import decode, decode_near
from backend.imaging.facts import ImageFacts
from backend.imaging.measures import Measures, measure
from backend.imaging.preprocessing import Pixels, Preprocessing, evaluation_view, training_view
from backend.imaging.thumbnails import GRID, copy_to_look_at, small_copies, thumbnail_file


@dataclass(frozen=True, slots=True)
class ReadImage:
    """What is kept of a readable image besides its bytes: facts, a file of its ``GRID`` copy, and measures."""

    facts: ImageFacts
    thumbnail: bytes
    measures: Measures


def read_image(content: bytes) -> ReadImage:
    """Decode all pixels of an image, make it small and measure it.

    Raises:
        UnreadableImage
    """
    facts, image = decode(content)
    copies = small_copies(image)
    measures = measure(image, facts.origin, copies)
    return ReadImage(facts, thumbnail_file(copies[GRID]), measures)


def measures_of(content: bytes) -> Measures:
    """Measures of an image that was added before any were taken.

    Raises:
        UnreadableImage
    """
    facts, image = decode(content)
    return measure(image, facts.origin)


def about_file(content: bytes) -> FileAbout:
    """What a file says of itself; no pixel is decoded.

    Raises:
        UnreadableImage
    """
    return about(content)


def small_copy(content: bytes, side: int) -> bytes:
    """A file of one of an image's ``small_copies``, by its longest side.

    Raises:
        UnreadableImage
    """
    return thumbnail_file(small_copies(decode_near(content, side))[side])


def large_copy(content: bytes) -> bytes:
    """A JPEG to look at, for browsers that don't show the file itself.

    Raises:
        UnreadableImage
    """
    return copy_to_look_at(decode(content)[1])


def network_view(content: bytes, preprocessing: Preprocessing) -> Pixels:
    """(size, size, 3): what the network sees of a picture when nothing is random.

    Raises:
        UnreadableImage
    """
    return evaluation_view(decode_near(content, preprocessing.resize_to), preprocessing)


def network_view_png(
    content: bytes, preprocessing: Preprocessing, augmentation: Augmentation | None, seed: int
) -> bytes:
    """The same as a PNG file; with an augmentation, the random view that belongs to the seed.

    Raises:
        UnreadableImage
    """
    image = decode_near(content, preprocessing.resize_to)
    if augmentation is None:
        pixels = evaluation_view(image, preprocessing)
    else:
        pixels = training_view(image, preprocessing, augmentation, np.random.default_rng(seed))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()
