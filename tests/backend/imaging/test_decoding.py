import io
import zlib

import numpy as np
import pytest
from PIL import Image

from backend.imaging.decoding import decode, decode_near
from backend.imaging.errors import UnreadableImage
from tests.fixtures.pictures import draw, encode


def refused(content: bytes) -> UnreadableImage:
    with pytest.raises(UnreadableImage) as refusal:
        decode(content)
    return refusal.value


@pytest.mark.parametrize(
    ("format", "media_type"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("WEBP", "image/webp"),
        ("BMP", "image/bmp"),
        ("GIF", "image/gif"),
        ("TIFF", "image/tiff"),
    ],
)
def test_every_usual_format_is_read(format: str, media_type: str) -> None:
    facts, image = decode(encode(draw("circle", 1), format))

    assert (facts.width, facts.height, facts.media_type) == (48, 48, media_type)
    assert image.mode == "RGB"


def test_a_picture_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees

    facts, image = decode(encode(Image.new("RGB", (40, 20)), "JPEG", exif=exif))

    assert (facts.width, facts.height) == image.size == (20, 40)


def test_transparency_is_laid_on_white() -> None:
    _, image = decode(encode(Image.new("RGBA", (2, 2), (0, 0, 0, 0))))

    assert image.getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bit_greys_are_scaled_and_not_cut() -> None:
    grey = Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.uint16))

    _, image = decode(encode(grey))

    assert [image.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (128, 128, 128), (255, 255, 255)]


def test_floats_between_zero_and_one_fill_the_range() -> None:
    _, image = decode(encode(Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32)), "TIFF"))

    assert [image.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (128, 128, 128), (255, 255, 255)]


def test_values_that_are_no_numbers_are_refused() -> None:
    grey = Image.fromarray(np.array([[0.0, np.nan]], dtype=np.float32))

    assert refused(encode(grey, "TIFF")).reason_code == "image-broken"


def test_palettes_and_print_colours_are_converted() -> None:
    for image in (draw("cross", 1).convert("P"), draw("cross", 1).convert("CMYK")):
        format = "PNG" if image.mode == "P" else "JPEG"
        assert decode(encode(image, format))[1].mode == "RGB"


def test_a_file_that_ends_too_early_is_refused() -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8))

    assert refused(encode(noise, "JPEG")[:1500]).reason_code == "image-truncated"


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    for side in (9_000, 50_000):
        header = side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
        assert refused(bomb).reason_code == "image-too-large"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04rest", "zip"),
        (b"\x00\x00\x00\x18ftypheic", "HEIC; save it as JPEG first"),
        (b"\x00\x00\x00\x18ftypisom", "video"),
        (b"\x00" * 128 + b"DICM", "DICOM; save it as PNG first"),
        (b"<svg xmlns=''>", "SVG or XML"),
        (b"<!DOCTYPE html><p>", "a web page"),
        ("schön".encode(), "text"),
        (b"\xff\x00\xfe", "unknown format"),
    ],
)
def test_what_is_no_picture_is_named(content: bytes, found: str) -> None:
    assert refused(content).message == f"not a picture we can read ({found})"


def test_an_empty_file_is_refused() -> None:
    assert refused(b"").reason_code == "image-empty"


def test_the_first_frame_of_an_animation_is_taken() -> None:
    file = io.BytesIO()
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    first.save(file, "GIF", save_all=True, append_images=[second])

    assert decode(file.getvalue())[1].getpixel((0, 0)) == (255, 0, 0)


def photo(width: int, height: int, **given: object) -> bytes:
    """A JPEG of smooth colours with a dark upper left corner."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    pixels = np.stack([across, down, 255 - across], axis=2).astype(np.uint8)
    pixels[: height // 2, : width // 2] //= 4
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, **given)
    return file.getvalue()


@pytest.mark.parametrize(
    ("size", "read_as"),
    [
        ((400, 320), (200, 160)),  # at a half
        ((1600, 1280), (200, 160)),  # at an eighth: 160 is twice what is wanted
        ((398, 318), (398, 318)),  # a half would leave less than twice
        ((403, 320), (403, 320)),  # a half wouldn't come out even
    ],
)
def test_a_large_photo_is_read_no_larger_than_it_needs(size: tuple[int, int], read_as: tuple[int, int]) -> None:
    assert decode_near(photo(*size), 80).size == read_as


def test_a_photo_read_small_looks_as_if_made_small_after_reading() -> None:
    content = photo(640, 640)

    near = np.asarray(decode_near(content, 80).resize((80, 80), Image.Resampling.BILINEAR), dtype=float)
    whole = np.asarray(decode(content)[1].resize((80, 80), Image.Resampling.BILINEAR), dtype=float)

    assert np.abs(near - whole).mean() < 1


def test_a_photo_read_small_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6

    near = decode_near(photo(640, 320, exif=exif), 80)

    assert near.size == (160, 320)
    # What lay at the upper left lies at the upper right.
    seen = np.asarray(near, dtype=int)
    assert seen[10, 150].sum() < seen[10, 10].sum()


def test_a_photo_read_small_that_ends_too_early_is_refused() -> None:
    content = photo(640, 640)

    with pytest.raises(UnreadableImage) as refusal:
        decode_near(content[: len(content) // 2], 80)

    assert refusal.value.reason_code == "image-truncated"
