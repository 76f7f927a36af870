"""Heat maps lie where the network looked, over the whole upright picture."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from backend.imaging.preprocessing import Preprocessing
from backend.prediction.heatmaps.drawing import Style, drawn

PREPROCESSING = Preprocessing(size=32, resize_to=32, mean=(0.5,) * 3, std=(0.5,) * 3)
EVEN = np.ones((4, 4), np.float32)


def opacity(heat: NDArray[np.float32], size: tuple[int, int], style: Style) -> Image.Image:
    image = Image.open(io.BytesIO(drawn(heat, size, PREPROCESSING, style)))
    assert image.format == "PNG"
    return image.convert("RGBA").getchannel("A")


@pytest.mark.parametrize(
    ("size", "expected"),
    [((200, 100), (384, 192)), ((100, 200), (192, 384)), ((50, 50), (384, 384)), ((9000, 1), (384, 1))],
)
def test_it_has_the_sides_ratio_of_the_picture(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert opacity(EVEN, size, Style.COLOUR).size == expected


def test_what_the_network_did_not_see_is_transparent() -> None:
    shown = np.asarray(opacity(EVEN, (200, 100), Style.COLOUR))

    # The square in the middle of 384 x 192.
    assert shown[:, :96].max() == 0
    assert shown[:, 96:288].min() == 205
    assert shown[:, 288:].max() == 0


def test_the_strongest_part_is_the_most_opaque_and_nothing_is_transparent() -> None:
    heat = np.zeros((4, 4), np.float32)
    heat[0, 3] = 1

    shown = np.asarray(opacity(heat, (100, 100), Style.COLOUR))

    assert shown[48, 336] > 190
    assert shown[300, 48] == 0


def test_an_outline_goes_around_half_of_the_evidence_and_leaves_the_rest_as_it_is() -> None:
    heat = np.zeros((4, 4), np.float32)
    heat[:, :2] = 1

    shown = np.asarray(opacity(heat, (100, 100), Style.OUTLINE))

    assert shown[192, 20] == 0
    assert shown[192, 130:200].max() == 255
    assert shown[:, 250:].max() == 0


@pytest.mark.parametrize("style", Style)
def test_no_evidence_is_an_empty_picture(style: Style) -> None:
    assert opacity(np.zeros((4, 4), np.float32), (60, 40), style).getextrema() == (0, 0)
