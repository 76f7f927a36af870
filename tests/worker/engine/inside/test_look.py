"""A network of one hand-set filter, which finds bright corners, and pictures in which these are known."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from backend.domain.ids import Digest
from backend.domain.inside import Box, Comparison, Inside, InsideOrder, SampleImage
from backend.domain.results import Evaluation
from backend.domain.training import NO_AUGMENTATION, TrainingRequest, resolve
from backend.imaging.preprocessing import Preprocessing
from backend.storage.local import LocalStorage
from tests.fixtures.engine import SIDE, frozen, plain_config
from tests.fixtures.pictures import encode
from tests.fixtures.timm_networks import TRANSFORMER, drawn
from worker.engine.checkpoints import checkpoint
from worker.engine.checkpoints.export import Export
from worker.engine.checkpoints.metadata import Parity
from worker.engine.errors import CheckpointUnusable
from worker.engine.inside.look import look_inside
from worker.engine.network import architectures, weights
from worker.engine.network.architectures import Classifier
from worker.engine.order import NeverStop

pytestmark = pytest.mark.usefixtures("tiny")

CORNERS = {"a": (6, 6), "b": (20, 10), "c": (12, 22), "d": (24, 24)}
"""(row, column) of the upper left pixel of a bright square, by the picture's id."""
STEPS = Preprocessing(SIDE, SIDE, (0.5,) * 3, (0.25,) * 3)


def with_corner(row: int, column: int, brightness: int) -> bytes:
    """A dark picture, all that lies right of and below a pixel is bright."""
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[row : row + 4, column : column + 4] = brightness
    return encode(Image.fromarray(pixels))


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "storage")


@pytest.fixture
def images(storage: LocalStorage) -> tuple[SampleImage, ...]:
    """Four pictures, brighter from one to the next; the first two are of one class, the others of another."""
    return tuple(
        SampleImage(name, storage.put_bytes(with_corner(*corner, 100 + 40 * number)), "low" if number < 2 else "high")
        for number, (name, corner) in enumerate(CORNERS.items())
    )


@pytest.fixture
def order(tmp_path: Path, storage: LocalStorage, images: tuple[SampleImage, ...], weights_folder: Path) -> InsideOrder:
    (tmp_path / "inside").mkdir()
    model = pretrained(weights_folder)
    set_corner_filter(model)
    write(model, tmp_path / "checkpoint")
    return InsideOrder(tmp_path / "checkpoint", "drawn", weights_folder, storage.root, images, tmp_path / "inside")


def pretrained(folder: Path) -> Classifier:
    entry = plain_config().entry
    loaded = weights.load(entry, entry.weights[0], folder, on_event=lambda _: None, stop=NeverStop())
    return architectures.build(entry, 2, last_layer_bias=False, seed=1, pretrained=loaded).requires_grad_(False)


def set_corner_filter(model: Classifier) -> None:
    """Unit 5 of the first block responds where it is bright to the right and below, dark above and to the left; no
    other unit responds to anything.
    """
    first = model.backbone.get_parameter("0.0.weight").zero_()
    first[5] = torch.tensor([[-1.0, -1, -1], [-1, 1, 1], [-1, 1, 1]])


def write(model: Classifier, folder: Path, **given: object) -> None:
    answers = Evaluation(("high", "low"), ("a",), np.array([[0.5, 0.5]], np.float32), np.array([0]))
    checkpoint.write(
        folder,
        checkpoint.weights_of(model),
        config=given.get("config", plain_config()),  # type: ignore[arg-type]
        stage=0,
        epoch=0,
        stages_before=0,
        preprocessing=STEPS,
        evaluations={"valid": answers},
        features=8,
        export=Export(b"", Parity(0, 1, 1)),
    )


def keep_in(order: InsideOrder) -> Callable[[str, bytes], None]:
    def keep(name: str, content: bytes) -> None:
        (order.folder / name).write_bytes(content)

    return keep


def looked(order: InsideOrder) -> Inside:
    return look_inside(order, LocalStorage(order.storage).read_blob, keep_in(order), lambda done, total: None)


def test_the_most_exciting_patch_of_a_corner_filter_is_the_brightest_corner(order: InsideOrder) -> None:
    (unit,) = looked(order).blocks[0].units

    assert unit.number == 5
    assert [patch.image_id for patch in unit.patches] == ["d", "c", "b", "a"]
    assert [patch.label for patch in unit.patches] == ["high", "high", "low", "low"]
    # The middle of the filter meets the corner; it moves by 2 pixels, and its box is 3 x 3.
    assert [patch.box for patch in unit.patches] == [
        Box(left=23, top=23, right=26, bottom=26),
        Box(left=21, top=11, right=24, bottom=14),
        Box(left=9, top=19, right=12, bottom=22),
        Box(left=5, top=5, right=8, bottom=8),
    ]


def test_the_picture_of_a_unit_shows_its_patches(order: InsideOrder) -> None:
    looked(order)

    sheet = Image.open(io.BytesIO((order.folder / "block-1-unit-5-after.webp").read_bytes())).convert("L")
    # Of the first patch: dark above and to the left, as bright as picture d in the lower right.
    assert sheet.getpixel((5, 5)) < 30  # type: ignore[operator]
    assert sheet.getpixel((70, 70)) == pytest.approx(220, abs=12)


def test_before_and_after_stand_side_by_side(order: InsideOrder) -> None:
    found = looked(order)

    assert found.comparison is Comparison.CHANGED
    assert found.filters is not None
    assert (found.filters.layer, found.filters.total, found.filters.side) == ("conv1", 8, 3)
    assert found.filters.change is not None
    assert found.filters.change == pytest.approx(found.blocks[0].weight_change)
    assert found.filters.change > 0.5
    assert found.blocks[1].weight_change == 0
    (unit,) = found.blocks[0].units
    assert {patch.image_id for patch in unit.patches_before} == {*CORNERS}
    assert {file.name for file in order.folder.glob("filters-*")} == {"filters-before.png", "filters-after.png"}


def test_units_whose_filter_stayed_respond_as_before(order: InsideOrder, weights_folder: Path) -> None:
    model = pretrained(weights_folder)
    model.backbone.get_parameter("0.0.weight")[0] = 0
    write(model, order.folder.parent / "other")

    found = looked(replace(order, checkpoint=order.folder.parent / "other"))

    untouched = [unit for unit in found.blocks[0].units if unit.number != 0]
    assert untouched
    assert [unit.agreement for unit in untouched] == pytest.approx([1] * len(untouched))
    assert all(unit.patches == unit.patches_before for unit in untouched)
    assert found.comparison is Comparison.CHANGED


def test_a_frozen_network_is_the_same_before_and_after(order: InsideOrder, weights_folder: Path) -> None:
    folder = order.folder.parent / "frozen"
    write(pretrained(weights_folder), folder)

    found = looked(replace(order, checkpoint=folder))

    assert found.comparison is Comparison.UNCHANGED
    assert {block.weight_change for block in found.blocks} == {0}
    assert {block.activation_change for block in found.blocks} == {0}
    assert found.filters is not None
    assert found.filters.change == 0
    assert all(not unit.patches_before for block in found.blocks for unit in block.units)
    assert not list(order.folder.glob("*before*"))


def test_without_the_pretrained_weights_nothing_is_compared(order: InsideOrder) -> None:
    found = looked(replace(order, weights=None))

    assert found.comparison is Comparison.UNAVAILABLE
    assert {block.weight_change for block in found.blocks} == {None}


def test_pictures_that_cannot_be_read_are_counted(order: InsideOrder, storage: LocalStorage) -> None:
    broken = SampleImage("broken", storage.put_bytes(b"not a picture"), "low")
    missing = SampleImage("missing", Digest("0" * 64), "low")

    found = looked(replace(order, images=(broken, *order.images, missing)))

    assert (found.images, found.unreadable) == (4, 2)


def test_a_near_copy_is_shown_once(order: InsideOrder, storage: LocalStorage) -> None:
    copy = SampleImage("copy", storage.put_bytes(with_corner(24, 24, 219)), "high")

    found = looked(replace(order, images=(*order.images, copy)))

    (unit,) = found.blocks[0].units
    assert [patch.image_id for patch in unit.patches] == ["d", "c", "b", "a"]


def test_it_says_how_far_it_is(order: InsideOrder) -> None:
    steps: list[tuple[int, int]] = []

    open_bytes = LocalStorage(order.storage).read_blob
    look_inside(
        replace(order, images=order.images * 5),
        open_bytes,
        lambda name, content: None,
        lambda done, total: steps.append((done, total)),
    )

    assert steps == [(16, 20), (20, 20)]


def test_a_transformer_shows_squares_around_its_tokens(order: InsideOrder, tmp_path: Path) -> None:
    entry = drawn(TRANSFORMER, tmp_path / "weights")
    request = TrainingRequest(
        architecture=entry.name, image_size=SIDE, batch_size=4, augmentation=NO_AUGMENTATION, stages=(frozen(1),)
    )
    model = architectures.build(entry, 2, last_layer_bias=False, seed=1)
    write(model, tmp_path / "vit", config=resolve(request))

    found = looked(replace(order, checkpoint=tmp_path / "vit", weights=None))

    assert found.filters is not None
    assert (found.filters.side, len(found.filters.shown)) == (16, 64)
    assert {block.has_tokens for block in found.blocks} == {True}
    boxes = {patch.box for block in found.blocks for unit in block.units for patch in unit.patches}
    # Two tokens a side of 16 pixels; with one more around, cut at the border, each has the whole view.
    assert boxes == {Box(0, 0, 32, 32)}


def test_a_damaged_checkpoint_is_refused(order: InsideOrder) -> None:
    (order.checkpoint / "weights.safetensors").write_bytes(b"nothing")

    with pytest.raises(CheckpointUnusable):
        looked(order)
