import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from backend.domain.manifest import Split
from backend.domain.training import NO_AUGMENTATION, Augmentation
from backend.imaging.preprocessing import Preprocessing, random_params, resized, training_view
from tests.fixtures.engine import shapes
from tests.fixtures.pictures import CLASSES, draw
from worker.engine.data import batches, gpu_views
from worker.engine.data.batches import ImageBatches, LabelledImages, SourceCrops, Views
from worker.engine.data.gpu_views import SourceCrop, makes_views, source_crop, stacked, warp_batch
from worker.engine.data.source import ImageSource, Unreadable

PREPROCESSING = Preprocessing(size=64, resize_to=72, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
SQUARE = Preprocessing(size=64, resize_to=64, mean=(0.5,) * 3, std=(0.25,) * 3)
CPU = torch.device("cpu")

KINDS: dict[str, dict[str, float]] = {
    "flip": {"flip": True, "flip_vertical": True},
    "turn": {"max_rotate": 180.0},
    "zoom": {"min_zoom": 0.5, "max_zoom": 4.0},
    "tilt": {"max_warp": 0.6},
    "lighting": {"max_lighting": 0.5, "p_lighting": 1.0},
    "all as usual": Augmentation().model_dump(),
    "all at their wildest": {
        "flip": True,
        "flip_vertical": True,
        "max_rotate": 180.0,
        "min_zoom": 0.5,
        "max_zoom": 4.0,
        "max_warp": 0.6,
        "max_lighting": 0.5,
    },
}


def smooth(width: int, height: int) -> Image.Image:
    y, x = np.meshgrid(np.arange(height) / height, np.arange(width) / width, indexing="ij")
    levels = np.stack([127.5 + 100 * np.sin(5 * x) * np.cos(4 * y), 127 + 120 * np.sin(9 * x + 3 * y), 255 * x * y], 2)
    return Image.fromarray(np.round(levels).astype(np.uint8))


def photographic(width: int, height: int) -> Image.Image:
    """Edges, areas and grain."""
    grain = np.random.default_rng(1).normal(0, 12, (height, width, 3))
    picture = draw("cross", 3, 96).resize((width, height)).filter(ImageFilter.GaussianBlur(0.7))
    return Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))


def pictures(steps: Preprocessing) -> list[Image.Image]:
    """Of several shapes, wide, high and square."""
    sizes = [(72, 72), (100, 72), (72, 110), (250, 80), (90, 300), (143, 97)]
    return [resized(make(*size), steps) for make in (smooth, photographic) for size in sizes]


def crops_of(images: list[Image.Image], steps: Preprocessing, augmentation: Augmentation) -> list[SourceCrop]:
    looks = [random_params(one.size, steps, augmentation, np.random.default_rng(n)) for n, one in enumerate(images)]
    return [source_crop(image, look, steps.size) for image, look in zip(images, looks, strict=True)]


def by_device(images: list[Image.Image], steps: Preprocessing, augmentation: Augmentation) -> NDArray[np.uint8]:
    made: NDArray[np.uint8] = warp_batch(*stacked(crops_of(images, steps, augmentation))).numpy()
    return made


def by_pillow(images: list[Image.Image], steps: Preprocessing, augmentation: Augmentation) -> NDArray[np.uint8]:
    return np.stack([training_view(one, steps, augmentation, np.random.default_rng(n)) for n, one in enumerate(images)])


def apart(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.abs(one.astype(np.int64) - other.astype(np.int64))


@pytest.mark.parametrize("kind", KINDS)
def test_the_device_sees_what_pillow_sees(kind: str) -> None:
    given = {"p_affine": 1.0, **KINDS[kind]}
    augmentation = NO_AUGMENTATION.model_copy(update=given)
    images = pictures(PREPROCESSING)

    away = apart(by_device(images, PREPROCESSING, augmentation), by_pillow(images, PREPROCESSING, augmentation))

    # Of 255 levels: one pixel of thirty ends a level higher, where Pillow drops nearly all of one.
    assert away.mean() < 0.05
    # Lighting may put the two darkest levels far apart.
    assert away.max() <= 1 or augmentation.max_lighting


def test_what_does_not_move_is_exactly_the_picture() -> None:
    images = [resized(photographic(64, 64), SQUARE), resized(smooth(64, 64), SQUARE)]

    made = by_device(images, SQUARE, NO_AUGMENTATION)

    assert np.array_equal(made, np.stack([np.asarray(image) for image in images]))


def test_a_flip_is_exact() -> None:
    images = [resized(photographic(64, 64), SQUARE)] * 8
    flip = NO_AUGMENTATION.model_copy(update={"flip": True, "flip_vertical": True})

    made = by_device(images, SQUARE, flip)

    assert np.array_equal(made, by_pillow(images, SQUARE, flip))
    assert len({view.tobytes() for view in made}) > 2


def test_only_what_a_view_looks_at_is_handed_over() -> None:
    panorama = resized(smooth(560, 72), PREPROCESSING)

    (one,) = crops_of([panorama], PREPROCESSING, NO_AUGMENTATION)

    assert panorama.width == 560
    assert one.pixels.shape[1] <= PREPROCESSING.size + 4


def test_views_do_not_depend_on_how_many_are_made_together(monkeypatch: pytest.MonkeyPatch) -> None:
    images = pictures(PREPROCESSING)
    together = by_device(images, PREPROCESSING, Augmentation())
    monkeypatch.setattr(gpu_views, "_AT_ONCE", 5)

    assert np.array_equal(by_device(images, PREPROCESSING, Augmentation()), together)


def batches_of(views: Views, *, made_by_device: bool | None, reported: list[Unreadable] | None = None) -> ImageBatches:
    return ImageBatches(
        views,
        epochs=1,
        batch_size=6,
        device=CPU,
        on_unreadable=(reported if reported is not None else []).extend,
        made_by_device=made_by_device,
    )


def views_of_shapes(folder: Path) -> Views:
    manifest, opened = shapes()
    images = LabelledImages.of(manifest, Split.TRAIN, without=set())
    source = ImageSource(opened, PREPROCESSING)
    for _ in source.fill_cache(images.images, folder):
        pass
    return Views(source, images, augmentation=Augmentation(), seed=3)


def test_a_gpus_training_sees_the_same_batches_as_a_processors(tmp_path: Path) -> None:
    views = views_of_shapes(tmp_path)

    processors = list(batches_of(views, made_by_device=False).of(1, 1))
    devices_own = list(batches_of(views, made_by_device=True).of(1, 1))

    assert len(devices_own) == 2
    for (inputs, targets), (expected, expected_targets) in zip(devices_own, processors, strict=True):
        assert torch.equal(targets, expected_targets)
        assert inputs.shape == (6, 3, 64, 64)
        assert inputs.is_contiguous(memory_format=torch.channels_last)
        # A level is 1 / (255 x 0.2) of a deviation.
        assert (inputs - expected).abs().mean() < 0.05 / (255 * 0.2)


def test_windows_come_the_same_from_loader_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    views = views_of_shapes(tmp_path)
    alone = [inputs for inputs, _ in batches_of(views, made_by_device=True).of(0)]
    monkeypatch.setattr(batches, "loader_processes", lambda images, epochs, most=4: 2)

    others = [inputs for inputs, _ in batches_of(views, made_by_device=True).of(0)]

    assert all(torch.equal(*pair) for pair in zip(alone, others, strict=True))


def test_windows_can_be_sent_to_a_process_that_begins_anew(tmp_path: Path) -> None:
    crops = SourceCrops(views_of_shapes(tmp_path), Augmentation())

    sent = pickle.loads(pickle.dumps(crops))[0, 0][2]

    here = crops[0, 0][2]
    assert isinstance(here, SourceCrop)
    assert np.array_equal(sent.pixels, here.pixels)


def test_an_image_that_can_not_be_read_is_left_out_of_a_devices_batch() -> None:
    manifest, opened = shapes()
    images = LabelledImages.of(manifest, Split.TRAIN, without=set())
    for image in images.images[1:]:
        del opened.files[image.digest]
    reported: list[Unreadable] = []
    views = Views(ImageSource(opened, PREPROCESSING), images, augmentation=Augmentation())

    sizes = sorted(len(inputs) for inputs, _ in batches_of(views, made_by_device=True, reported=reported).of(0))

    assert sizes == [0, 0, 1]
    assert len(reported) == 17


def test_only_a_gpu_makes_views_itself() -> None:
    assert makes_views(torch.device("cuda:0"))
    assert not makes_views(CPU)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpu_makes_the_processors_views() -> None:
    images = [draw(shape, 1, 72) for shape in CLASSES]
    pixels, looks = stacked(crops_of(images, PREPROCESSING, Augmentation()))
    gpu = torch.device("cuda:0")

    made = warp_batch(pixels.pin_memory().to(gpu, non_blocking=True), looks.pin_memory().to(gpu)).cpu().numpy()

    assert apart(made, by_pillow(images, PREPROCESSING, Augmentation())).mean() < 0.05
