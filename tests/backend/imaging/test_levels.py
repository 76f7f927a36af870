import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from backend.imaging.decoding import decode
from backend.imaging.errors import UnreadableImage
from tests.backend.imaging.tiffs import Order, Tags, tiff
from tests.fixtures.pictures import encode

WANTED = [0, 51, 128, 255]


def greys(content: bytes) -> list[int]:
    """The first row of what is decoded."""
    pixels = np.asarray(decode(content)[1])
    assert (pixels == pixels[:, :, :1]).all(), "grey"
    return [int(value) for value in pixels[0, :, 0]]


def of(values: list[float], kind: str) -> NDArray[np.generic]:
    return np.array([values] * 3).astype(kind)


KINDS = [
    ("uint8", [0, 51, 128, 255]),
    ("int8", [-128, -77, 0, 127]),
    ("uint16", [0, 13107, 32896, 65535]),
    ("int16", [-32768, -19661, 128, 32767]),
    ("uint32", [0, 858993459, 2155905152, 4294967295]),
    ("int32", [-2147483648, -1288490189, 8421504, 2147483647]),
    ("float32", [0, 0.2, 0.5, 1]),
]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "values"), KINDS)
def test_every_kind_of_number_is_read_over_its_whole_range(kind: str, values: list[float], order: Order) -> None:
    assert greys(tiff((of(values, kind), {}), order=order)) == pytest.approx(WANTED, abs=1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("kind", "values"), KINDS)
def test_a_negative_is_turned_round(kind: str, values: list[float], order: Order) -> None:
    ends = values[0] + values[-1]
    negative = tiff((of([ends - value for value in values], kind), {262: 0}), order=order)

    assert greys(negative) == pytest.approx(WANTED, abs=1)


def test_sixteen_bits_in_a_png_are_scaled_and_not_cut() -> None:
    assert greys(encode(Image.fromarray(np.array([[0, 13107, 32896, 65535]], dtype=np.uint16)))) == WANTED


@pytest.mark.parametrize(
    ("dark", "light"),
    [
        (of([0, 1000], "uint16"), of([0, 50_000], "uint16")),
        (of([0, 0.1], "float32"), of([0, 0.9], "float32")),
        (of([0, 20], "float32"), of([0, 200], "float32")),
        (of([0, 10**8], "uint32"), of([0, 4 * 10**9], "uint32")),
    ],
)
def test_a_darker_picture_of_a_series_stays_darker(dark: NDArray[np.generic], light: NDArray[np.generic]) -> None:
    darker, lighter = greys(tiff((dark, {})))[1], greys(tiff((light, {})))[1]

    assert darker < lighter / 5


@pytest.mark.parametrize("tags", [{281: 4095}, {341: 4095}])
def test_a_declared_depth_of_twelve_bits_is_respected(tags: Tags) -> None:
    assert greys(tiff((of([0, 819, 2056, 4095], "uint16"), tags))) == WANTED


def test_a_largest_value_that_is_no_depth_is_taken_for_statistics() -> None:
    assert greys(tiff((of([0, 3000], "uint16"), {281: 3000}))) == [0, 12]


def test_twelve_bits_in_sixteen_without_a_word_in_the_file_are_said() -> None:
    facts, _ = decode(tiff((of([0, 2000, 4095], "uint16"), {})))

    assert [note.code for note in facts.notes] == ["levels-nearly-unused"]
    assert facts.notes[0].message == (
        "Its brightest value is 4,095 where white is 65,535, so it looks nearly black. If its camera has fewer bits "
        "than the file, save it with its full range, or as an 8-bit picture."
    )


def test_an_ordinary_picture_of_sixteen_bits_needs_no_word() -> None:
    assert decode(tiff((of([0, 40_000], "uint16"), {})))[0].notes == ()


def test_signed_numbers_of_which_none_is_negative_are_said() -> None:
    assert [note.code for note in decode(tiff((of([0, 20_000], "int16"), {})))[0].notes] == ["levels-half-unused"]


def test_a_declared_range_of_floats_is_respected() -> None:
    assert greys(tiff((of([100.0, 200.0, 350.9, 600.0], "float32"), {340: 100.0, 341: 600.0}))) == WANTED


def test_floats_a_little_beyond_black_and_white_are_cut() -> None:
    assert greys(tiff((of([-0.05, 0.2, 0.5, 1.05], "float32"), {}))) == WANTED


def test_floats_of_which_nothing_shows_what_is_white_are_refused() -> None:
    with pytest.raises(UnreadableImage) as refusal:
        decode(tiff((of([0, 2550], "float32"), {})))

    assert refusal.value.reason_code == "image-range-unknown"
    assert refusal.value.message == (
        "its floating-point values go from 0 to 2,550, and nothing in it says which is black and which is white. "
        "Save it with values from 0 to 1, or as an 8-bit or 16-bit TIFF or PNG"
    )
