import pytest
import torch

from backend.domain.manifest import Split
from backend.domain.training import Augmentation
from backend.imaging.preprocessing import Preprocessing
from tests.fixtures.engine import build_tiny, shapes
from worker.engine.architectures import Classifier, build_head
from worker.engine.data import ImageSource, LabelledImages, Unreadable, Views, to_input
from worker.engine.features import FeatureBatches, Features, compute, fit_into_memory

PREPROCESSING = Preprocessing(size=32, resize_to=36, mean=(0.5, 0.5, 0.5), deviation=(0.25, 0.25, 0.25))
CPU = torch.device("cpu")


def test_features_are_what_the_backbone_says_of_the_readable_images() -> None:
    manifest, opened = shapes()
    images = LabelledImages.of(manifest, Split.TRAIN, without=set())
    del opened.files[images.images[3].digest]
    model = Classifier(build_tiny(None), build_head(8, 3, last_layer_bias=False, seed=1))
    views = Views(ImageSource(opened, PREPROCESSING), images)
    told: list[Unreadable] = []

    found = compute(model, views, PREPROCESSING, view=0, device=CPU, on_batch=lambda done, bad: told.extend(bad))

    pixels = torch.from_numpy(views[0, 0][2])[None]
    assert found.values.shape == (17, 16)
    assert 3 not in found.places
    assert [one.image for one in told] == [images.images[3]]
    with torch.no_grad():
        assert torch.allclose(found.values[:1], model.features(to_input(pixels, PREPROCESSING, CPU)), atol=1e-6)


def test_two_views_take_turns_and_each_is_computed_once() -> None:
    manifest, opened = shapes()
    images = LabelledImages.of(manifest, Split.TRAIN, without=set())
    computed: list[int] = []

    def view_of(view: int) -> Features:
        computed.append(view)
        return Features(torch.full((18, 2), float(view)), torch.arange(18), list(range(18)))

    batches = FeatureBatches(images, view_of, 8, seed=1, stage=0)
    seen = [{float(value) for inputs, _ in batches.of(epoch) for value in inputs.flatten()} for epoch in range(4)]

    assert computed == [0, 1]
    assert seen == [{0.0}, {1.0}, {0.0}, {1.0}]


def test_images_without_features_are_left_out_of_their_batches() -> None:
    manifest, _ = shapes()
    images = LabelledImages.of(manifest, Split.TRAIN, without=set())
    known = Features(torch.zeros(10, 2), torch.arange(10), list(range(10)))

    batches = list(FeatureBatches(images, lambda view: known, 8, seed=1, stage=0).of(0))

    assert sorted(int(target) for _, targets in batches for target in targets)[-1] <= 9
    assert [len(targets) for _, targets in batches] == [2, 7, 1]


@pytest.mark.parametrize(("images", "fits"), [(1_000, True), (90_000, True), (1_000_000, False)])
def test_a_million_images_do_not_fit(images: int, fits: bool) -> None:
    assert fit_into_memory(images, 1280) is fits


def test_an_augmentation_gives_each_view_features_of_its_own() -> None:
    manifest, opened = shapes(train=1)
    images = LabelledImages.of(manifest, Split.TRAIN, without=set())
    model = Classifier(build_tiny(None), build_head(8, 3, last_layer_bias=False, seed=1))
    views = Views(ImageSource(opened, PREPROCESSING), images, augmentation=Augmentation())

    first, second = (
        compute(model, views, PREPROCESSING, view=view, device=CPU, on_batch=lambda done, bad: None) for view in (0, 1)
    )

    assert not torch.equal(first.values, second.values)
