"""Copies among drawn pictures, by hashes and by features."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance

from backend.datasets.examine.alignment import small_grey
from backend.datasets.examine.copies import Pair, PairKind, Pictures, find_pairs
from backend.datasets.examine.embeddings import unit_rows
from backend.datasets.examine.near import hash_candidates, typical_distance
from backend.imaging.measures import measure


def scene(number: int, size: int = 128) -> Image.Image:
    """A picture of many patches, another one for each number."""
    patches = np.random.default_rng(number).integers(0, 256, (14, 14, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((size, size), Image.Resampling.BICUBIC)


def found(
    images: Sequence[Image.Image],
    *,
    new: int = 0,
    paths: Sequence[str] | None = None,
    values: NDArray[np.float32] | None = None,
    taken: Sequence[float] | None = None,
) -> list[tuple[int, int, PairKind]]:
    """Pairs of these pictures."""
    greys = np.stack([small_grey(image) for image in images])
    measured = [measure(image) for image in images]
    pictures = Pictures(
        paths or [f"{chr(97 + at)}.png" for at in range(len(images))],
        [of.pixels for of in measured],
        np.array([of.perceptual_hash for of in measured], dtype=np.int64).view(np.uint64),
        np.zeros(len(images), dtype=np.bool_),
        np.array(taken or [np.nan] * len(images)),
        values,
    )
    pairs: list[Pair] = find_pairs(pictures, new, lambda positions: greys[list(positions)])
    return [(pair.first, pair.second, pair.kind) for pair in pairs]


def features(*near: tuple[int, int], count: int) -> NDArray[np.float32]:
    """Features of so many pictures that have nothing in common, but for pairs that are nearly the same."""
    values = np.random.default_rng(0).normal(size=(count, 64)).astype(np.float32)
    for one, other in near:
        values[other] = values[one] + 0.02 * values[other]
    return unit_rows(values)


def test_many_pictures_with_the_same_pixels_are_paired_with_the_first() -> None:
    pairs = found([scene(1), scene(2), scene(1), scene(1)])

    assert pairs == [(0, 2, PairKind.SAME_PIXELS), (0, 3, PairKind.SAME_PIXELS)]


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.resize((70, 70)),
        lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda image: image.transpose(Image.Transpose.ROTATE_270),
        lambda image: ImageEnhance.Brightness(image).enhance(0.9),
    ],
)
def test_a_changed_copy_is_the_same_picture(change: object) -> None:
    assert callable(change)

    assert found([scene(1), scene(2), change(scene(1))]) == [(0, 2, PairKind.SAME_PICTURE)]


def test_a_slight_crop_is_found_by_features_and_proved_by_pixels() -> None:
    cropped = scene(1).crop((5, 1, 126, 122))
    images = [scene(number) for number in range(1, 6)] + [cropped]

    assert found(images, values=features((0, 5), count=6)) == [(0, 5, PairKind.SAME_PICTURE)]


def test_features_alone_never_make_a_copy() -> None:
    images = [scene(number) for number in range(6)]

    assert found(images, values=features((0, 5), count=6)) == []


def test_pictures_that_follow_each_other_and_are_alike_are_one_moment_and_no_copies() -> None:
    moved = scene(1)
    moved.paste(scene(99).crop((0, 0, 40, 40)), (60, 40))
    images = [scene(1), moved, *(scene(number) for number in range(2, 6))]
    paths = ["cat/IMG_0007.jpg", "cat/IMG_0008.jpg", *(f"cat/{letter}.jpg" for letter in "abcd")]

    pairs = found(images, paths=paths, values=features((0, 1), count=6))

    assert pairs == [(0, 1, PairKind.SAME_MOMENT)]


def test_what_a_camera_took_at_two_times_is_no_copy() -> None:
    images = [scene(1), scene(1, 120), *(scene(number) for number in range(2, 6))]
    times = [1000.0, 1002.0, *([np.nan] * 4)]

    pairs = found(images, values=features((0, 1), count=6), taken=times)

    assert pairs == [(0, 1, PairKind.SAME_MOMENT)]


def test_only_pairs_with_a_new_picture_are_given() -> None:
    images = [scene(1), scene(1, 70), scene(2), scene(2, 70)]

    assert found(images, new=3) == [(2, 3, PairKind.SAME_PICTURE)]


def test_the_search_by_parts_of_hashes_finds_what_comparing_all_finds() -> None:
    random = np.random.default_rng(3)
    known = random.integers(0, 2**63, 3000, dtype=np.uint64)
    new = known[:400].copy()
    for at in range(400):
        for bit in random.choice(64, at % 9, replace=False):
            new[at] ^= np.uint64(1) << np.uint64(bit)

    [(rows, columns)] = hash_candidates(new, known, 6)

    assert {(at, at) for at in range(400) if at % 9 <= 6} <= set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert not {at for at in range(400) if at % 9 > 6} & set(rows.tolist())


def test_a_set_that_holds_each_picture_in_three_versions_has_the_distance_of_different_pictures() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(60, 64)).astype(np.float32)
    versions = [values + 0.2 * random.normal(size=values.shape).astype(np.float32) for _ in range(3)]

    alone, all_versions = typical_distance(unit_rows(values)), typical_distance(unit_rows(np.concatenate(versions)))

    assert alone == pytest.approx(0.8, abs=0.1)
    assert all_versions == pytest.approx(alone, abs=0.1)


@pytest.mark.parametrize("corner", [(0, 0), (5, 5), (0, 5), (3, 1)])
def test_a_slight_crop_of_a_small_picture_full_of_edges_is_the_same_picture(corner: tuple[int, int]) -> None:
    across, down = corner
    images = [drawing(number) for number in range(6)]
    cropped = images[0].crop((across, down, across + 95, down + 95))

    assert found([*images, cropped], values=features((0, 6), count=7)) == [(0, 6, PairKind.SAME_PICTURE)]


def drawing(number: int) -> Image.Image:
    """Lines and spots of 100 x 100 pixels, without any smooth part."""
    random = np.random.default_rng(number)
    image = Image.new("RGB", (100, 100), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(25):
        draw.line(random.integers(0, 100, 4).tolist(), "black", int(random.integers(1, 4)))
        draw.point(random.integers(0, 100, 40).tolist(), "black")
    return image
