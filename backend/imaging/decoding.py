"""Read an image file as upright sRGB, or say in words why it can't be read. Sounds and movements are drawn."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import pillow_heif
from PIL import Image, UnidentifiedImageError

from backend.imaging import kinds, tiff
from backend.imaging.colour import to_srgb
from backend.imaging.drawn.drawing import drawn
from backend.imaging.errors import UnreadableImage
from backend.imaging.facts import PICTURE_TYPES, ImageFacts, Note
from backend.imaging.levels import Levels, to_8_bits
from backend.imaging.origin import origin_of
from backend.imaging.repairs import are_same, repaired, with_end

MAX_PIXELS: Final = 64_000_000
"""Pixels that a picture may have unless the server allows more; a 50,000 x 50,000 bomb has 2,500 million."""
MAX_WHOLE_JPEG: Final = 64_000_000
"""Pixels of a JPEG that is decoded whole; larger ones are read at a half or less, whatever the server allows."""
_JPEG_FACTOR: Final = 4
"""So many times as many pixels may a JPEG have, since it is read smaller."""

# An MPO begins as the JPEG that it is.
_FORMATS: Final = tuple(name for name in PICTURE_TYPES if name != "MPO")
_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

pillow_heif.register_heif_opener()
# Our own check, by format, comes right after a file's header has been read.
Image.MAX_IMAGE_PIXELS = None
_allowed_pixels = MAX_PIXELS


def allow_pixels(most: int) -> None:
    """Have this process accept pictures of so many pixels, and JPEGs of four times as many."""
    global _allowed_pixels
    _allowed_pixels = most


Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Read:
    """A decoded picture as it is stored: its kind of pixels, not upright; and its size before any reading small."""

    image: Image.Image
    format: str
    size: tuple[int, int]


def decode(content: bytes) -> tuple[ImageFacts, Image.Image]:
    """Facts and pixels of an image file: main page or first frame, upright by EXIF, 8-bit sRGB.

    Transparency is laid on white; what greys of more than 8 bits become follows from what the file
    declares (``levels``), colours from its profile (``colour``). Every pixel is decoded, so a file that
    ends too early is refused here and not in the middle of a training. A JPEG of more than
    ``MAX_WHOLE_JPEG`` comes smaller than the facts say.

    Raises:
        UnreadableImage: with a reason for people and a code for programs.
    """
    if (drawing := drawn(content)) is not None:
        return drawing
    content, pages = _main_page(content)
    read = _read(content, None)
    orientation = _orientation(read)
    frames = _attempted(lambda: _frames_left_out(read.image))
    image, levels = _attempted(lambda: _to_rgb(read))
    width, height = read.size if orientation < 5 else read.size[::-1]
    if read.format == "TIFF":  # Pillow turns these by itself
        width, height = image.size
    notes = tuple(note for note in (pages, frames, levels) if note is not None)
    format = "JPEG" if read.format == "MPO" else read.format
    origin = origin_of(read.image, read.image.mode, orientation)
    return ImageFacts(format, width, height, notes, origin), _turned(image, orientation)


def decode_near(content: bytes, short_side: int, *, is_accepted: bool = False) -> Image.Image:
    """The pixels alone, of an image whose short side will be made so long; a large JPEG is read at 1/2, 1/4 or 1/8.

    Twice the wanted length is left at least, so that the resizing that follows sees enough
    (measured at 12 megapixels: 3.7 times faster, what the network sees differs by 0.4 of 255
    in the mean, by 6 at most). All who show images to a network read them by this, so that they see the same.

    Args:
        is_accepted: whether the image's number of pixels was checked before, when it came into a dataset.

    Raises:
        UnreadableImage: as ``decode`` does.
    """
    if (drawing := drawn(content)) is not None:
        return drawing[1]
    content, _ = _main_page(content)
    read = _read(content, 2 * short_side, is_accepted)
    orientation = _orientation(read)
    image, _ = _attempted(lambda: _to_rgb(read))
    return _turned(image, orientation)


def _main_page(content: bytes) -> tuple[bytes, Note | None]:
    return tiff.main_page(content) if tiff.is_tiff(content) else (content, None)


def _read(content: bytes, shortest: int | None, is_accepted: bool = False) -> _Read:
    """Decode a file; where that fails, once more without flaws that viewers pass over."""
    try:
        return _decoded(content, shortest, is_accepted)
    except UnreadableImage as refusal:
        for version in repaired(content):
            try:
                return _decoded(version, shortest, is_accepted)
            except UnreadableImage:
                continue
        raise refusal


def _decoded(content: bytes, shortest: int | None, is_accepted: bool) -> _Read:
    image = opened(content)
    size, detected = image.size, image.format or ""
    is_jpeg = detected in ("JPEG", "MPO")
    if not is_accepted:
        _check_size(size, is_jpeg)
    if is_jpeg:
        _attempted(lambda: _read_small(image, shortest))
    try:
        _attempted(image.load)
    except UnreadableImage as refusal:
        if is_jpeg and refusal.reason_code == "image-truncated":
            return _Read(_completed(content, shortest, refusal), detected, size)
        if detected == "TIFF" and tiff.is_odd_compression(content):
            raise UnreadableImage("image-format-unknown", tiff.described(content)) from refusal
        if is_jpeg and (kind := kinds.rare_jpeg(content)):
            raise UnreadableImage("image-format-unknown", kinds.worded(*kind)) from refusal
        raise
    return _Read(image, detected, size)


def opened(content: bytes) -> Image.Image:
    """An image file of a format that is read, its header alone: no pixel is decoded, no size checked.

    Raises:
        UnreadableImage: it is something else, with what it is.
    """
    if not content:
        raise UnreadableImage("image-empty", "the file is empty")
    try:
        with warnings.catch_warnings():
            # A bomb is only a warning to Pillow up to twice its limit; our own check follows.
            warnings.simplefilter("ignore")
            image = _attempted(lambda: Image.open(io.BytesIO(content), formats=_FORMATS))
    except UnidentifiedImageError:
        reason = tiff.described(content) if tiff.is_tiff(content) else kinds.named(content)
        raise UnreadableImage("image-format-unknown", reason) from None
    # Viewers turn pictures by EXIF alone; Pillow would also take what XMP says.
    for key in ("xmp", "XML:com.adobe.xmp", "Raw profile type exif"):
        image.info.pop(key, None)
    return image


def _check_size(size: tuple[int, int], is_jpeg: bool) -> None:
    width, height = size
    allowed = _allowed_pixels * (_JPEG_FACTOR if is_jpeg else 1)
    if width * height <= allowed:
        return
    kind = " for a JPEG" if is_jpeg else ""
    smaller = "Save a smaller copy"
    if not is_jpeg and width * height <= _allowed_pixels * _JPEG_FACTOR:
        smaller += " or a JPEG"
    raise UnreadableImage(
        "image-too-large",
        f"it has {width:,} x {height:,} pixels, more than the {allowed // 1_000_000} million allowed{kind}. "
        f"{smaller}, or have whoever runs the server raise TELLAPART_MAX_MEGAPIXELS",
    )


def _read_small(image: Image.Image, shortest: int | None) -> None:
    """Have a JPEG decoded at 1/8, 1/4 or 1/2 where that leaves enough, or where it has too many pixels for more."""
    width, height = image.size
    for scale in (8, 4, 2):
        # Only where it comes out even: part of a pixel at an edge would move the whole picture a little.
        is_even = width % scale == height % scale == 0
        if shortest is not None and min(image.size) >= scale * shortest and is_even:
            image.draft(None, (width // scale, height // scale))
            return
    for scale in (1, 2, 4, 8):
        if width * height <= MAX_WHOLE_JPEG * scale * scale:
            if scale > 1:
                image.draft(None, (width // scale, height // scale))
            return


def _completed(content: bytes, shortest: int | None, refusal: UnreadableImage) -> Image.Image:
    """A JPEG that lacks nothing but its end marker.

    Raises:
        UnreadableImage: ``refusal``, where pixels are missing.
    """
    versions = []
    for version in with_end(content):
        image = opened(version)
        _attempted(lambda image=image: _read_small(image, shortest))  # type: ignore[misc]  # bound at once
        _attempted(image.load)
        versions.append(image)
    if not are_same(*versions):
        raise refusal
    return versions[0]


def _attempted(step: Callable[[], Result]) -> Result:
    """What ``step`` gives, with whatever a decoder raises put in words."""
    try:
        return step()
    except (UnidentifiedImageError, UnreadableImage):
        raise
    except MemoryError:
        raise UnreadableImage(
            "image-too-large", "it needs more memory than the server allows for one picture"
        ) from None
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, zlib.error …
        if "truncated" in str(error).lower():
            raise UnreadableImage(
                "image-truncated",
                "the file ends too early, so part of the picture is missing. Copy or download it once more",
            ) from error
        raise UnreadableImage(
            "image-broken", "it is damaged: its pixels can't be decoded. Copy or download it once more"
        ) from error


def _orientation(read: _Read) -> int:
    """How the camera was held, by EXIF: 1 to 8."""
    if read.format == "TIFF" or not (notes := read.image.info.get("exif")):
        return 1
    exif = Image.Exif()
    try:
        exif.load(notes)
        value = exif.get(_ORIENTATION, 1)
    except Exception:  # the EXIF reader raises whatever its broken bytes lead to; the pixels are fine
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    return image if orientation == 1 else image.transpose(_TURNS[orientation])


def _frames_left_out(image: Image.Image) -> Note | None:
    """A note on animations. What a camera puts behind its JPEG or HEIC (previews, depth) is not worth one."""
    frames = getattr(image, "n_frames", 1) if image.format in ("GIF", "WEBP", "PNG", "AVIF") else 1
    if frames < 2:
        return None
    return Note("frames-left-out", f"It is an animation: only the first of its {frames:,} frames is used.")


def _to_rgb(read: _Read) -> tuple[Image.Image, Note | None]:
    image, note = read.image, None
    if image.mode == "1":
        image = image.convert("L")
    transparent = image.info.get("transparency")
    if _needs_levels(read):
        alpha = _where_not(image, transparent) if isinstance(transparent, int) else None
        image, note = to_8_bits(image, _levels(read))
    elif image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or transparent is not None:
        layer = image.convert("RGBA")
        alpha, image = layer.getchannel("A"), layer.convert("RGB")
    else:
        alpha = None
    if image.mode not in ("RGB", "L", "CMYK", "LAB"):
        image = image.convert("RGB")
    coloured = to_srgb(image, read.format, read.image.info)
    if alpha is None:
        return coloured, note
    paper = Image.new("RGB", coloured.size, "white")
    paper.paste(coloured, mask=alpha)
    return paper, note


def _needs_levels(read: _Read) -> bool:
    mode = read.image.mode
    return mode.startswith("I;16") or mode in ("I", "F") or (mode == "L" and not _levels(read).is_unsigned)


def _levels(read: _Read) -> Levels:
    tags = getattr(read.image, "tag_v2", None)
    return Levels.of_bits(16) if tags is None else Levels.of_tags(tags, read.image.mode)


def _where_not(image: Image.Image, value: int) -> Image.Image:
    """Mode L: 0 where a grey has this value, else 255."""
    return Image.fromarray(np.where(np.asarray(image) == value, 0, 255).astype(np.uint8))
