import io

import numpy as np
from PIL import Image

from backend.domain.inside import Box
from backend.imaging.preprocessing import Preprocessing
from worker.engine.inside.drawing import CELL, cut_out, filters_png, patches_webp

STEPS = Preprocessing(size=8, resize_to=8, mean=(0.5, 0.25, 0.0), std=(0.5,) * 3)


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_filters_stand_eight_in_a_row_on_a_scale_of_their_own() -> None:
    filters = np.zeros((9, 3, 4, 4), np.float32)
    filters[0, 0] = 0.01
    filters[8, 2] = -3

    sheet = opened(filters_png(filters)).convert("RGBA")

    # Each 4 x 4 pixels eight times as large, with 2 pixels between.
    assert sheet.size == (8 * 34 - 2, 2 * 34 - 2)
    assert sheet.getpixel((0, 0)) == (255, 128, 128, 255)
    assert sheet.getpixel((34, 0)) == (128, 128, 128, 255)
    assert sheet.getpixel((0, 34)) == (128, 128, 0, 255)
    assert sheet.getpixel((32, 0)) == (0, 0, 0, 0)
    assert sheet.getpixel((34, 34)) == (0, 0, 0, 0)


def test_a_patch_is_what_lies_in_the_square() -> None:
    view = np.zeros((8, 8, 3), np.uint8)
    view[4:, 4:] = 200

    patch = cut_out(view, Box(4, 4, 8, 8), STEPS)

    assert patch.size == (CELL, CELL)
    assert patch.getextrema() == ((200, 200),) * 3


def test_outside_of_the_view_a_patch_has_the_mean_colour() -> None:
    patch = cut_out(np.full((8, 8, 3), 200, np.uint8), Box(-4, 0, 4, 8), STEPS)

    assert patch.getpixel((5, 40)) == (128, 64, 0)
    assert patch.getpixel((CELL - 6, 40)) == (200, 200, 200)


def test_patches_stand_three_in_a_row_and_missing_ones_are_transparent() -> None:
    patch = Image.new("RGB", (CELL, CELL), (200, 0, 0))

    sheet = opened(patches_webp({0: patch, 4: patch})).convert("RGBA")

    assert sheet.size == (3 * CELL + 4, 3 * CELL + 4)
    opacity = [[sheet.getpixel((x, y))[3] for x in (40, 122, 204)] for y in (40, 122, 204)]  # type: ignore[index]
    assert opacity == [[255, 0, 0], [0, 255, 0], [0, 0, 0]]
