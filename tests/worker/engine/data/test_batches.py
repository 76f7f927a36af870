import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.domain.manifest import Split
from backend.domain.training import Augmentation, TrainingRequest, resolve
from backend.imaging.preprocessing import Preprocessing, normalise
from tests.fixtures.engine import Bytes, shapes
from worker.engine.data import batches
from worker.engine.data.batches import ImageBatches, LabelledImages, Views, batches_of_epoch, in_order, steps_per_epoch
from worker.engine.data.source import ImageSource, Unreadable, preprocessing_of, to_input

PREPROCESSING = Preprocessing(size=32, resize_to=36, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
CPU = torch.device("cpu")


def source_and_images() -> tuple[ImageSource, LabelledImages, Bytes]:
    manifest, opened = shapes()
    return ImageSource(opened, PREPROCESSING), LabelledImages.of(manifest, Split.TRAIN, without=set()), opened


def fill(source: ImageSource, images: LabelledImages, folder: Path) -> list[Unreadable]:
    return [one for _, unreadable in source.fill_cache(images.images, folder) for one in unreadable]


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own() -> None:
    first = batches_of_epoch(10, 4, seed=1, stage=0, epoch=0)
    second = batches_of_epoch(10, 4, seed=1, stage=0, epoch=1)

    assert [len(batch) for batch in first] == [4, 4, 2]
    assert sorted(place for batch in first for place in batch) == list(range(10))
    assert first != second
    assert first == batches_of_epoch(10, 4, seed=1, stage=0, epoch=0)


@pytest.mark.parametrize(("images", "steps"), [(8, 2), (9, 2), (10, 3), (3, 1), (2, 1)])
def test_a_last_batch_of_one_image_is_left_out(images: int, steps: int) -> None:
    assert len(batches_of_epoch(images, 4, seed=1, stage=0, epoch=0)) == steps
    assert steps_per_epoch(images, 4) == steps


def test_the_network_sees_the_same_numbers_as_in_prediction() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)

    seen = to_input(torch.from_numpy(pixels[None]), PREPROCESSING, CPU)[0].numpy()

    assert np.array_equal(seen, normalise(pixels, PREPROCESSING))


def test_the_course_crops_the_whole_short_side_and_we_seven_eighths() -> None:
    ours = resolve(TrainingRequest(image_size=224))

    assert preprocessing_of(ours).resize_to == 256
    assert preprocessing_of(ours.model_copy(update={"crop_share": 1.0})).resize_to == 224


def test_cached_images_are_the_decoded_ones(tmp_path: Path) -> None:
    source, images, opened = source_and_images()
    decoded = source.resized(images.images[0])

    fill(source, images, tmp_path)
    opened.files.clear()
    cached = source.resized(images.images[0])

    assert not isinstance(decoded, Unreadable)
    assert not isinstance(cached, Unreadable)
    assert cached.tobytes() == decoded.tobytes()


def test_a_source_can_be_sent_to_another_process(tmp_path: Path) -> None:
    source, images, _ = source_and_images()
    fill(source, images, tmp_path)
    source.resized(images.images[0])

    sent = pickle.loads(pickle.dumps(source))

    again, here = sent.resized(images.images[0]), source.resized(images.images[0])
    assert not isinstance(here, Unreadable)
    assert again.tobytes() == here.tobytes()


def test_what_does_not_fit_into_the_cache_is_decoded_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.engine.data.source.CACHE_BYTES", 1)
    source, images, _ = source_and_images()

    fill(source, images, tmp_path)

    assert not isinstance(source.resized(images.images[-1]), Unreadable)
    assert next(tmp_path.glob("*.cache")).stat().st_size < len(images) * 36 * 36 * 3


def test_the_cache_is_gone_when_it_is_closed(tmp_path: Path) -> None:
    source, images, _ = source_and_images()
    fill(source, images, tmp_path)

    source.close()

    assert list(tmp_path.iterdir()) == []


def test_broken_and_missing_files_are_reported_with_their_reason(tmp_path: Path) -> None:
    source, images, opened = source_and_images()
    missing, broken = images.images[:2]
    del opened.files[missing.digest]
    opened.files[broken.digest] = b"no picture"

    reported = fill(source, images, tmp_path)

    assert {one.image.id for one in reported} == {missing.id, broken.id}
    assert reported[0].reason == "its file is missing from the storage"


def test_a_random_view_depends_on_seed_stage_epoch_and_image_alone() -> None:
    source, images, _ = source_and_images()

    def view(seed: int, stage: int, epoch: int) -> bytes:
        pixels = Views(source, images, augmentation=Augmentation(), seed=seed, stage=stage)[epoch, 0][2]
        assert isinstance(pixels, np.ndarray)
        return pixels.tobytes()

    assert view(1, 0, 0) == view(1, 0, 0)
    assert len({view(1, 0, 0), view(2, 0, 0), view(1, 1, 0), view(1, 0, 1)}) == 4


def test_an_unreadable_image_leaves_its_batch_smaller() -> None:
    source, images, opened = source_and_images()
    del opened.files[images.images[0].digest]

    (batch,) = in_order(Views(source, images), view=0, device=CPU)

    assert batch.pixels.shape == (17, 32, 32, 3)
    assert batch.indices == list(range(1, 18))
    assert [one.image.id for one in batch.unreadable] == [images.images[0].id]


def test_every_step_has_its_batch_however_little_of_it_is_readable() -> None:
    source, images, opened = source_and_images()
    for image in images.images[1:]:
        del opened.files[image.digest]
    reported: list[Unreadable] = []
    batches = ImageBatches(Views(source, images), epochs=1, batch_size=6, device=CPU, on_unreadable=reported.extend)

    assert sorted(len(targets) for _, targets in batches.of(0)) == [0, 0, 1]
    assert len(reported) == 17


@pytest.mark.parametrize("processes", [0, 1, 2])
def test_the_order_does_not_depend_on_the_number_of_loader_processes(
    processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, images, _ = source_and_images()
    views = Views(source, images, augmentation=Augmentation(), seed=3)
    alone = ImageBatches(views, epochs=1, batch_size=5, device=CPU, on_unreadable=lambda reported: None)
    expected = [(inputs, targets) for epoch in (0, 1) for inputs, targets in alone.of(epoch)]
    monkeypatch.setattr(batches, "loader_processes", lambda images, epochs, most=4: processes)

    others = ImageBatches(views, epochs=1, batch_size=5, device=CPU, on_unreadable=lambda reported: None)
    seen = [(inputs, targets) for epoch in (0, 1) for inputs, targets in others.of(epoch)]

    assert all(torch.equal(a, b) and torch.equal(s, t) for (a, s), (b, t) in zip(expected, seen, strict=True))
