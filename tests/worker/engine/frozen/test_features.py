from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from backend.domain.manifest import Split
from backend.domain.training import Augmentation
from backend.imaging.preprocessing import Preprocessing
from tests.fixtures.engine import Bytes, Listener, build_tiny, shapes
from worker.engine.data.batches import LabelledImages, Views
from worker.engine.data.source import ImageSource, Unreadable, to_input
from worker.engine.frozen.feature_store import FeatureStore
from worker.engine.frozen.features import EpochRows, FeatureBatches, Features, Source, ViewRequest, fit_into_memory
from worker.engine.frozen.runtimes import FrozenLayers, FrozenNetwork
from worker.engine.hardware.memory import MemoryLimits
from worker.engine.network.architectures import ConcatPool

PREPROCESSING = Preprocessing(size=32, resize_to=36, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
CPU = torch.device("cpu")


class Pictures:
    """Drawn training images, frozen layers, and which events were reported and files opened."""

    def __init__(self, folder: Path | None = None, *, train: int = 6, images: int = 18) -> None:
        manifest, self.files = shapes(train=train)
        self.images = LabelledImages.of(manifest, Split.TRAIN, without=set())
        torch.manual_seed(3)
        self.layers = nn.Sequential(build_tiny(None), ConcatPool()).eval()
        self.reported: list[tuple[int, list[Unreadable]]] = []
        self.listener = Listener()
        network = FrozenNetwork(self.layers, PREPROCESSING, folder)
        self.still = FrozenLayers(network, MemoryLimits(8), images=images, on_event=self.listener)
        self.source = Source(self.still, self.still, FeatureStore(folder))

    def views(self, augmentation: Augmentation | None = None, *, seed: int = 0) -> Views:
        return Views(ImageSource(self.files, PREPROCESSING), self.images, augmentation=augmentation, seed=seed)

    def features(self, views: Views | None = None, view: int = 0) -> Features:
        return self.source.of(
            ViewRequest(views or self.views(), view),
            device=CPU,
            on_batch=lambda done, bad: self.reported.append((done, bad[:])),
        )


def test_features_are_what_the_layers_say_of_the_readable_images() -> None:
    pictures = Pictures()
    del pictures.files.files[pictures.images.images[3].digest]

    found = pictures.features()

    pixels = torch.from_numpy(pictures.views()[0, 0][2])[None]
    assert found.values.shape == (17, 16)
    assert 3 not in found.indices
    assert found.targets.tolist() == [pictures.images.targets[place] for place in found.indices]
    assert [one.image for _, unreadable in pictures.reported for one in unreadable] == [pictures.images.images[3]]
    assert pictures.reported[-1][0] == 18
    with torch.no_grad():
        assert torch.allclose(found.values[:1], pictures.layers(to_input(pixels, PREPROCESSING, CPU)), atol=1e-6)


def test_the_second_time_no_image_is_opened(tmp_path: Path) -> None:
    first = Pictures(tmp_path).features()
    later = Pictures(tmp_path)
    later.files = Bytes()

    again = later.features()

    assert torch.equal(again.values, first.values)
    assert (again.indices, later.reported) == (first.indices, [])


def test_only_new_images_are_shown_and_answer_in_equal_bits(tmp_path: Path) -> None:
    all_at_once = Pictures().features()
    pictures = Pictures(tmp_path)
    whole = pictures.images
    pictures.images = LabelledImages(whole.images[5:], whole.targets[5:])
    pictures.features()
    later = Pictures(tmp_path)

    found = later.features()

    assert torch.equal(found.values, all_at_once.values)
    assert later.reported == [(5, [])]


def test_other_views_and_seeds_have_features_of_their_own(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, train=1)
    views, other_seed = pictures.views(Augmentation()), pictures.views(Augmentation(), seed=1)

    found = [
        pictures.features(pictures.views()),
        pictures.features(views, 0),
        pictures.features(views, 1),
        pictures.features(other_seed, 0),
    ]

    assert len({one.values.sum().item() for one in found}) == 4
    assert pictures.source.missing(ViewRequest(views, 1)) == 0
    assert pictures.source.missing(ViewRequest(views, 2)) == 3


def test_answers_to_learn_from_are_kept_apart_from_those_that_judge(tmp_path: Path) -> None:
    pictures = Pictures(tmp_path, train=1)
    bfloat16 = FrozenLayers(
        pictures.still.network, MemoryLimits(8), images=18, on_event=Listener(), precision=torch.bfloat16
    )
    source = Source(pictures.still, bfloat16, FeatureStore(tmp_path))
    judging, learnt_from = ViewRequest(pictures.views()), ViewRequest(pictures.views(), is_learnt_from=True)

    rough = source.of(learnt_from, device=CPU, on_batch=lambda done, bad: None)
    before = source.missing(judging)
    exact = source.of(judging, device=CPU, on_batch=lambda done, bad: None)

    assert (before, source.missing(judging), source.missing(learnt_from)) == (3, 0, 0)
    assert torch.equal(exact.values, Pictures(train=1).features().values)
    assert not torch.equal(rough.values, exact.values)
    assert torch.allclose(rough.values, exact.values, atol=0.05)


def test_what_was_answered_before_a_stop_is_kept(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop_at_eight(done: int, unreadable: Sequence[Unreadable]) -> None:
        raise Stop

    pictures = Pictures(tmp_path)
    with pytest.raises(Stop):
        pictures.source.of(ViewRequest(pictures.views()), device=CPU, on_batch=stop_at_eight)

    assert pictures.source.missing(ViewRequest(pictures.views())) == 10


def test_two_views_take_turns() -> None:
    manifest, _ = shapes()
    images = LabelledImages.of(manifest, Split.TRAIN, without=set())
    views = [Features(torch.full((18, 2), float(view)), torch.arange(18), list(range(18))) for view in range(2)]

    batches = FeatureBatches(views, EpochRows(images, 8, seed=1, stage=0))
    seen = [{float(value) for inputs, _ in batches.of(epoch) for value in inputs.flatten()} for epoch in range(4)]

    assert seen == [{0.0}, {1.0}, {0.0}, {1.0}]


def test_images_without_features_are_left_out_of_their_batches() -> None:
    manifest, _ = shapes()
    images = LabelledImages.of(manifest, Split.TRAIN, without=set())
    known = Features(torch.zeros(10, 2), torch.arange(10), list(range(10)))

    batches = list(FeatureBatches([known], EpochRows(images, 8, seed=1, stage=0)).of(0))

    assert sorted(int(target) for _, targets in batches for target in targets)[-1] <= 9
    assert [len(targets) for _, targets in batches] == [2, 7, 1]


@pytest.mark.parametrize(("images", "fits"), [(1_000, True), (90_000, True), (1_000_000, False)])
def test_a_million_images_do_not_fit(images: int, fits: bool) -> None:
    assert fit_into_memory(images, 1280) is fits
