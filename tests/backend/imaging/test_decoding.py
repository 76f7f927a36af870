import io
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from backend.imaging.decoding import MAX_PIXELS, allow_pixels, decode, decode_near
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
        ("AVIF", "image/avif"),
        ("HEIF", "image/heic"),
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


def test_values_that_are_no_numbers_are_refused() -> None:
    grey = Image.fromarray(np.array([[0.0, np.nan]], dtype=np.float32))

    assert refused(encode(grey, "TIFF")).reason_code == "image-broken"


def test_palettes_and_print_colours_are_converted() -> None:
    for image in (draw("cross", 1).convert("P"), draw("cross", 1).convert("CMYK")):
        format = "PNG" if image.mode == "P" else "JPEG"
        assert decode(encode(image, format))[1].mode == "RGB"


def test_a_jpeg_with_further_pictures_behind_it_is_a_jpeg() -> None:
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")

    facts, image = decode(encode(first, "MPO", save_all=True, append_images=[second], quality=100))

    assert (facts.format, facts.media_type, facts.notes) == ("JPEG", "image/jpeg", ())
    assert image.getpixel((4, 4)) == (254, 0, 0)


def test_a_transparent_grey_of_sixteen_bits_is_laid_on_white() -> None:
    grey = Image.fromarray(np.array([[257, 32768, 65535]], dtype=np.uint16))

    _, image = decode(encode(grey, transparency=257))

    assert [image.getpixel((x, 0)) for x in range(3)] == [(255, 255, 255), (128, 128, 128), (255, 255, 255)]


def test_xmp_turns_nothing_as_in_viewers() -> None:
    note = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'

    for format in ("JPEG", "WEBP", "TIFF"):
        facts, image = decode(encode(Image.new("RGB", (40, 20)), format, xmp=note))
        assert (facts.width, facts.height) == image.size == (40, 20)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "AVIF"])
@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, (0, 0)), (2, (1, 0)), (3, (1, 1)), (4, (0, 1)), (5, (0, 0)), (6, (1, 0)), (7, (1, 1)), (8, (0, 1))],
)
def test_every_way_to_hold_a_camera_is_turned_upright(format: str, orientation: int, corner: tuple[int, int]) -> None:
    image = Image.new("RGB", (64, 32), "white")
    image.paste("black", (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = orientation

    facts, upright = decode(encode(image, format, exif=exif))

    assert (facts.width, facts.height) == upright.size == ((64, 32) if orientation < 5 else (32, 64))
    dark = [
        (x, y)
        for x in (0, 1)
        for y in (0, 1)
        if sum(upright.convert("RGB").getpixel((x * (upright.width - 9) + 4, y * (upright.height - 9) + 4))) < 60  # type: ignore[arg-type]
    ]
    assert dark == [corner]


def test_an_animation_is_said_to_be_one() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]

    for format in ("GIF", "PNG", "WEBP"):
        facts, _ = decode(encode(frames[0], format, save_all=True, append_images=frames[1:]))
        assert [(note.code, note.message) for note in facts.notes] == [
            ("frames-left-out", "It is an animation: only the first of its 3 frames is used.")
        ]


def test_a_jpeg_beyond_the_limit_of_pixels_is_read_at_a_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.imaging.decoding.MAX_WHOLE_JPEG", 60_000)

    facts, image = decode(photo(400, 320))

    assert (facts.width, facts.height, image.size) == (400, 320, (200, 160))
    assert decode_near(photo(401, 321), 400).size == (201, 161)


@pytest.fixture
def ten_thousand_pixels() -> Iterator[None]:
    """A server that allows pictures of 100 x 100 pixels."""
    allow_pixels(10_000)
    yield
    allow_pixels(MAX_PIXELS)


@pytest.mark.usefixtures("ten_thousand_pixels")
@pytest.mark.parametrize(
    ("size", "format", "reason"),
    [
        ((100, 100), "PNG", ""),
        (
            (101, 100),
            "PNG",
            "101 x 100 pixels, more than the 0 million allowed. Save a smaller copy or a JPEG, ",
        ),
        ((201, 200), "PNG", "201 x 200 pixels, more than the 0 million allowed. Save a smaller copy, "),
        ((200, 200), "JPEG", ""),
        (
            (201, 200),
            "JPEG",
            "201 x 200 pixels, more than the 0 million allowed for a JPEG. Save a smaller copy, ",
        ),
    ],
)
def test_the_limit_of_pixels_is_said_with_how_to_raise_it(size: tuple[int, int], format: str, reason: str) -> None:
    content = encode(Image.new("RGB", size), format)

    if not reason:
        assert decode(content)[0].width == size[0]
        return
    assert refused(content).reason_code == "image-too-large"
    assert refused(content).message == f"it has {reason}or have whoever runs the server raise TELLAPART_MAX_MEGAPIXELS"
    assert decode_near(content, 50, is_accepted=True).size[0] in (size[0], size[0] // 2)


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
