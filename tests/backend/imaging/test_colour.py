"""Levels as Chromium 156 and LittleCMS give them."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from backend.imaging.colour import matrix_profile
from backend.imaging.decoding import decode, decode_near
from tests.fixtures.pictures import encode

P3 = matrix_profile((0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06), 2.2)
RED, SKIN = (200, 60, 50), (224, 172, 105)


def picture(*colours: tuple[int, int, int]) -> Image.Image:
    return Image.fromarray(np.array([[colour] * 4 for colour in colours], dtype=np.uint8).repeat(4, axis=0))


def shown(content: bytes, number: int = 0) -> tuple[int, ...]:
    """What a colour of ``picture`` has become."""
    pixel = decode(content)[1].getpixel((2, 4 * number + 2))
    assert isinstance(pixel, tuple)
    return tuple(int(value) for value in pixel)


def png_with(*chunks: tuple[bytes, bytes], image: Image.Image | None = None) -> bytes:
    content = encode(image or picture(RED))
    written = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return content[:33] + written + content[33:]


@pytest.mark.parametrize(("format", "near"), [("PNG", 1), ("TIFF", 1), ("WEBP", 3), ("JPEG", 3), ("AVIF", 4)])
def test_the_profile_of_a_phone_is_respected_in_every_format(format: str, near: int) -> None:
    options: dict[str, dict[str, object]] = {
        "WEBP": {"lossless": True},
        "JPEG": {"quality": 100, "subsampling": 0},
        "AVIF": {"quality": 100},
    }

    content = encode(picture(RED), format, icc_profile=P3, **options.get(format, {}))

    # Display P3 of (200, 60, 50): a stronger red than sRGB's.
    assert shown(content) == pytest.approx((219, 37, 34), abs=near)
    assert decode_near(content, 8).getpixel((2, 2)) == pytest.approx((219, 37, 34), abs=near)


def test_transparent_pixels_keep_the_profile_of_the_others() -> None:
    image = picture(RED).convert("RGBA")

    assert shown(encode(image, icc_profile=P3)) == pytest.approx((219, 37, 34), abs=1)


def test_a_grey_picture_may_carry_the_profile_of_colours() -> None:
    linear = matrix_profile((0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06), 1.0)

    assert shown(encode(Image.new("L", (8, 8), 55), icc_profile=linear)) == pytest.approx((128, 128, 128), abs=1)


def test_the_usual_profile_changes_nothing() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    colours = picture(RED, SKIN, (3, 5, 250))

    assert np.array_equal(np.asarray(decode(encode(colours, icc_profile=srgb))[1]), np.asarray(colours))


@pytest.mark.parametrize("profile", [b"profile", b"\0" * 200, P3[:150]])
def test_a_broken_profile_is_ignored(profile: bytes) -> None:
    assert shown(encode(picture(RED), icc_profile=profile)) == RED


def test_a_profile_of_another_kind_of_pixels_is_ignored() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()

    assert shown(encode(picture(RED), icc_profile=lab)) == RED


def test_a_lab_tiff_is_read() -> None:
    # L* 50 is (119, 119, 119) in sRGB.
    assert shown(encode(Image.new("LAB", (8, 8), (128, 128, 128)), "TIFF")) == pytest.approx((119,) * 3, abs=1)


def gamma(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def primaries(*values: float) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in values))


SRGB = primaries(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
ADOBE = primaries(0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)


@pytest.mark.parametrize(
    ("chunks", "level"),
    [
        ([], (36, 36, 36)),
        ([gamma(1.0)], (105, 105, 105)),
        ([gamma(0.55)], (47, 47, 47)),
        ([gamma(0.45455)], (36, 36, 36)),
        ([gamma(0.45455), SRGB], (31, 31, 31)),
        ([gamma(1.0), SRGB], (105, 105, 105)),
        ([gamma(1.0), (b"sRGB", b"\0")], (36, 36, 36)),
        ([ADOBE], (36, 36, 36)),
        ([gamma(0.0)], (36, 36, 36)),
        ([gamma(1.0), primaries(0, 0, 0, 0, 0, 0, 0, 0)], (36, 36, 36)),
    ],
)
def test_gamma_and_primaries_of_a_png_count_as_in_chromium(
    chunks: list[tuple[bytes, bytes]], level: tuple[int, int, int]
) -> None:
    assert shown(png_with(*chunks, image=picture((36, 36, 36)))) == pytest.approx(level, abs=1)


def test_primaries_move_colours() -> None:
    assert shown(png_with(gamma(0.45455), ADOBE, image=picture((109, 54, 60)))) == pytest.approx((124, 51, 58), abs=1)


def test_print_colours_follow_their_profile_or_the_plain_rule() -> None:
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))

    assert shown(encode(cyan, "TIFF")) == (0, 255, 255)
    assert shown(encode(cyan, "TIFF", icc_profile=P3)) == (0, 255, 255)


def test_a_profile_is_one_that_other_programs_read() -> None:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(P3)).profile

    assert (profile.xcolor_space.strip(), profile.device_class) == ("RGB", "mntr")
