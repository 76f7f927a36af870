import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from backend.domain.training import NO_AUGMENTATION, Augmentation
from backend.imaging.augmentation import Movement
from backend.imaging.preprocessing import Preprocessing, evaluation_view, moved, normalise, resized, training_view
from tests.fixtures.fastai import figures
from tests.fixtures.pictures import draw

PREPROCESSING = Preprocessing(size=32, resize_to=36, mean=(0.5, 0.5, 0.5), std=(0.25, 0.5, 0.5))
SQUARE = Preprocessing(size=48, resize_to=48, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def test_it_survives_being_stored() -> None:
    assert Preprocessing.from_json(PREPROCESSING.to_json()) == PREPROCESSING


@pytest.mark.parametrize(("given", "made"), [((72, 144), (36, 72)), ((100, 80), (45, 36)), ((10, 10), (36, 36))])
def test_the_short_side_gets_its_length(given: tuple[int, int], made: tuple[int, int]) -> None:
    assert resized(Image.new("RGB", given), PREPROCESSING).size == made


@pytest.mark.parametrize(
    ("given", "made"),
    [((1, 20_000), (36, 288)), ((20_000, 1), (288, 36)), ((10, 80), (36, 288)), ((10, 81), (36, 288))],
)
def test_of_a_line_only_the_middle_is_made_large(given: tuple[int, int], made: tuple[int, int]) -> None:
    assert resized(Image.new("RGB", given), PREPROCESSING).size == made


def test_the_view_of_a_line_shows_its_middle() -> None:
    line = Image.new("RGB", (1, 4000), "black")
    line.paste("white", (0, 1900, 1, 2100))

    assert evaluation_view(line, PREPROCESSING).min() == 255


def test_resizing_twice_changes_nothing() -> None:
    once = resized(draw("cross", 1, 70), PREPROCESSING)

    assert resized(once, PREPROCESSING) is once


def test_evaluation_cuts_the_middle() -> None:
    image = Image.new("RGB", (76, 36), "black")
    image.paste("white", (22, 2, 54, 34))

    view = evaluation_view(image, PREPROCESSING)

    assert view.shape == (32, 32, 3)
    assert view.min() == 255


def test_normalised_channels_come_first() -> None:
    pixels = np.full((2, 3, 3), 255, dtype=np.uint8)

    seen = normalise(pixels, PREPROCESSING)

    assert seen.shape == (3, 2, 3)
    assert seen.dtype == np.dtype(np.float32)
    assert seen[:, 0, 0].tolist() == [2.0, 1.0, 1.0]


def test_without_augmentation_a_picture_of_the_right_size_stays_as_it_is() -> None:
    image = draw("square", 2)

    view = training_view(image, SQUARE, NO_AUGMENTATION, np.random.default_rng(1))

    assert np.array_equal(view, np.asarray(image))


def test_a_flip_mirrors_left_and_right() -> None:
    image = draw("square", 2)
    flip = NO_AUGMENTATION.model_copy(update={"flip": True})
    plain = np.asarray(image)

    views = [training_view(image, SQUARE, flip, np.random.default_rng(seed)) for seed in range(10)]

    mirrored = [np.array_equal(view, plain[:, ::-1]) for view in views]
    assert all(flipped or np.array_equal(view, plain) for flipped, view in zip(mirrored, views, strict=True))
    assert 0 < sum(mirrored) < 10


def test_a_vertical_flip_turns_it_upside_down() -> None:
    image = draw("square", 2)
    flip = NO_AUGMENTATION.model_copy(update={"flip_vertical": True})

    views = [training_view(image, SQUARE, flip, np.random.default_rng(seed)) for seed in range(10)]

    assert any(np.array_equal(view, np.asarray(image)[::-1]) for view in views)


def test_one_state_of_chance_gives_one_view() -> None:
    image = draw("cross", 3, 60)

    first = training_view(image, PREPROCESSING, Augmentation(), np.random.default_rng(1))

    assert first.shape == (32, 32, 3)
    assert np.array_equal(first, training_view(image, PREPROCESSING, Augmentation(), np.random.default_rng(1)))
    assert not np.array_equal(first, training_view(image, PREPROCESSING, Augmentation(), np.random.default_rng(2)))


def test_what_lies_outside_is_mirrored_and_never_black() -> None:
    bright = Image.new("RGB", (48, 48), (200, 200, 200))
    wild = Augmentation(max_rotate=45, min_zoom=0.6, max_zoom=1, max_warp=0.4, max_lighting=0, p_affine=1)

    views = [training_view(bright, SQUARE, wild, np.random.default_rng(seed)) for seed in range(20)]

    assert min(int(view.min()) for view in views) == 200


def test_lighting_changes_all_pixels_alike() -> None:
    grey = Image.new("RGB", (48, 48), (100, 100, 100))
    light = NO_AUGMENTATION.model_copy(update={"max_lighting": 0.4, "p_lighting": 1.0})

    levels = {int(training_view(grey, SQUARE, light, np.random.default_rng(seed))[0, 0, 0]) for seed in range(10)}

    assert len(levels) > 5


def smooth_picture(side: int) -> Image.Image:
    """The picture of fastai's figures."""
    y, x = np.meshgrid(np.arange(side) / side, np.arange(side) / side, indexing="ij")
    grey = np.round(127.5 + 100 * np.sin(5 * x) * np.cos(4 * y)).astype(np.uint8)
    return Image.fromarray(np.stack([grey] * 3, axis=2))


def test_pixels_between_pixels_are_bilinear_as_fastais_but_a_views_corners_are_edges() -> None:
    fastai = figures("interpolation")
    side = fastai["side"]
    inside = Movement(zoom=1.5, centre=(0.1, 0.2), turn=7.0, mirrored=True)
    square = Preprocessing(size=side, resize_to=side, mean=(0.5,) * 3, std=(0.25,) * 3)

    view = np.asarray(moved(smooth_picture(side), inside, square))[:, :, 0]

    def away_from(name: str) -> NDArray[np.float64]:
        away: NDArray[np.float64] = np.abs(view - np.array(fastai["seen"][name]).reshape(side, side))
        return away

    # Pillow drops fractions of a level.
    assert away_from("corners are edges").max() < 1.1
    # In fastai the corners of view and picture are centres of pixels, half a pixel further in.
    assert away_from("corners are centres of pixels (fastai)").max() < 1.5


def test_preprocessing_written_by_an_earlier_version_is_read() -> None:
    content = PREPROCESSING.to_json()
    content["deviation"] = content.pop("std")

    assert Preprocessing.from_json(content) == PREPROCESSING
