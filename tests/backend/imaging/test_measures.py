"""Measures of drawn pictures."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from backend.imaging.decoding import decode
from backend.imaging.measures import measure, turned_hashes
from tests.fixtures.pictures import draw, encode

PICTURE = draw("cross", 3, 96)
PICTURE.paste(draw("circle", 1, 40), (5, 50))
TURNS = (
    None,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.ROTATE_180,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
)


def hash_of(image: Image.Image) -> np.uint64:
    return np.uint64(measure(image).perceptual_hash & (2**64 - 1))


@pytest.mark.parametrize("turn", TURNS)
def test_one_of_the_turned_hashes_is_that_of_the_turned_picture(turn: Image.Transpose | None) -> None:
    turned = turned_hashes(np.array([hash_of(PICTURE)]))[:, 0]

    distances = np.bitwise_count(turned ^ hash_of(PICTURE if turn is None else PICTURE.transpose(turn)))

    # Terms of zero have no sign.
    assert sorted(distances)[0] <= 2


def test_a_resized_recompressed_picture_keeps_its_hash_but_not_its_pixels() -> None:
    copy = decode(encode(PICTURE.resize((64, 64)), "JPEG", quality=50))[1]

    assert np.bitwise_count(hash_of(copy) ^ hash_of(PICTURE)) <= 4
    assert measure(copy).pixels != measure(PICTURE).pixels


def test_the_same_pixels_in_another_format_have_the_same_hash_of_pixels() -> None:
    again = decode(encode(PICTURE, "WEBP", lossless=True))[1]

    assert measure(again).pixels == measure(PICTURE).pixels


def test_one_changed_pixel_of_a_large_picture_changes_the_hash_of_pixels() -> None:
    large = PICTURE.resize((1000, 900))
    changed = large.copy()
    changed.putpixel((777, 333), (1, 2, 3))

    assert measure(changed).pixels != measure(large).pixels


def test_black_white_and_blurred_pictures_are_told_apart() -> None:
    black = measure(Image.new("RGB", (50, 40)))
    white = measure(Image.new("RGB", (50, 40), "white"))

    assert (black.light, black.entropy, white.dark) == (0.0, 0.0, 1.0)
    assert measure(PICTURE).sharpness > 0.3
    assert measure(PICTURE.filter(ImageFilter.GaussianBlur(3))).sharpness < 0.15


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3, 2)])
def test_the_smallest_pictures_are_measured_too(size: tuple[int, int]) -> None:
    assert measure(Image.new("RGB", size, "red")).traits["border"] == [255, 0, 0]


def test_camera_and_time_come_from_the_file_without_what_a_database_refuses() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Can\0on", "EOS 5"
    exif.get_ifd(0x8769)[0x9003] = "2026:11:29 14:03:11"

    origin = decode(encode(PICTURE, "JPEG", exif=exif))[0].origin

    assert (origin.taken_at, origin.mode) == ("2026-11-29T14:03:11", "RGB")
    assert "\0" not in origin.camera
    assert origin.camera.endswith("EOS 5")
