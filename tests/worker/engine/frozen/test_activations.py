from pathlib import Path

import pytest
import torch
from torch import nn

from backend.domain.architectures import Architecture
from backend.domain.events import EpochFinished, PhaseStarted, StateSaved
from backend.domain.manifest import Split
from backend.imaging.preprocessing import Preprocessing
from tests.fixtures.engine import Killed, Listener, build_tiny, frozen, order_in, shapes, tiny_config, unfrozen
from worker.engine.checkpoints.checkpoint import read
from worker.engine.data.batches import LabelledImages, Views
from worker.engine.data.source import ImageSource, Unreadable, to_input
from worker.engine.frozen import activations
from worker.engine.frozen.activations import ActivationBatches, Activations, answers_from, compute, fit_into_memory
from worker.engine.frozen.features import EpochRows, ViewRequest
from worker.engine.frozen.runtimes import FrozenLayers, FrozenNetwork
from worker.engine.hardware.memory import MemoryLimits
from worker.engine.network.architectures import Classifier, build_head
from worker.engine.order import StatePoint
from worker.engine.recipe import train

PREPROCESSING = Preprocessing(size=32, resize_to=36, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
CPU = torch.device("cpu")


def tiny_model() -> Classifier:
    return Classifier(build_tiny(None), build_head(8, 3, last_layer_bias=False, seed=1)).eval()


def test_activations_are_what_the_frozen_blocks_say_of_the_readable_images() -> None:
    manifest, opened = shapes()
    images = LabelledImages.of(manifest, Split.TRAIN, without=set())
    del opened.files[images.images[3].digest]
    views = Views(ImageSource(opened, PREPROCESSING), images)
    model, reported = tiny_model(), list[Unreadable]()

    network = FrozenNetwork(nn.Sequential(*model.blocks()[:1]), PREPROCESSING, None)
    layers = FrozenLayers(network, MemoryLimits(8), images=18, on_event=Listener())

    found = compute(
        layers,
        ViewRequest(views, is_learnt_from=True),
        device=CPU,
        on_batch=lambda done, bad: reported.extend(bad),
    )

    pixels = torch.from_numpy(views[0, 0][2])[None]
    assert (found.values.shape, found.values.dtype) == ((17, 8, 16, 16), torch.float16)
    assert found.values.is_contiguous(memory_format=torch.channels_last)
    assert 3 not in found.indices
    assert [one.image for one in reported] == [images.images[3]]
    with torch.no_grad():
        assert torch.allclose(
            found.values[:1].float(),
            model.forward_frozen(to_input(pixels, PREPROCESSING, CPU), 1),
            atol=0.002,
            rtol=0.002,
        )


def test_the_blocks_above_answer_from_activations_as_the_whole_network_does() -> None:
    model, images = tiny_model(), torch.randn(5, 3, 32, 32)
    with torch.no_grad():
        known = Activations(model.forward_frozen(images, 1), torch.arange(5), [4, 3, 2, 1, 0])

        ((indices, logits),) = answers_from(known, frozen_blocks=1, limits=MemoryLimits(8))(
            model, lambda done, bad: None
        )

        assert indices == [4, 3, 2, 1, 0]
        assert torch.allclose(logits, model(images), atol=1e-6)


def test_views_take_turns_and_each_is_computed_once() -> None:
    manifest, _ = shapes()
    images = LabelledImages.of(manifest, Split.TRAIN, without=set())
    computed: list[int] = []

    def view_of(view: int) -> Activations:
        computed.append(view)
        return Activations(torch.full((18, 2, 3, 3), float(view)).half(), torch.arange(18), list(range(18)))

    batches = ActivationBatches(view_of, EpochRows(images, 8, seed=1, stage=0), views=3)
    seen = [{float(value) for inputs, _ in batches.of(epoch) for value in inputs.flatten()} for epoch in range(5)]

    assert computed == [0, 1, 2]
    assert seen == [{0.0}, {1.0}, {2.0}, {0.0}, {1.0}]


def test_an_epoch_continues_at_a_step() -> None:
    manifest, _ = shapes()
    images = LabelledImages.of(manifest, Split.TRAIN, without=set())
    known = Activations(torch.zeros(18, 2, 3, 3).half(), torch.arange(18), list(range(18)))
    batches = ActivationBatches(lambda view: known, EpochRows(images, 8, seed=1, stage=0), views=1)

    whole = [targets.tolist() for _, targets in batches.of(0)]

    assert [len(batch) for batch in whole] == [8, 8, 2]
    assert [targets.tolist() for _, targets in batches.of(0, 1)] == whole[1:]


@pytest.mark.parametrize(("learnt", "fits"), [(480_000, True), (500_000, False)])
def test_activations_of_large_sets_are_not_kept(learnt: int, fits: bool) -> None:
    # 8 channels of 16 x 16, 2 bytes each: 4,096 bytes a view.
    model = tiny_model()

    assert fit_into_memory(model, PREPROCESSING, frozen_blocks=1, learnt=learnt, judged=0) is fits


def test_frozen_blocks_stay_as_they_are_and_the_others_learn(
    tmp_path: Path, tiny: Architecture, weights_folder: Path
) -> None:
    config = tiny_config(frozen(1), unfrozen(1, frozen_blocks=1, train_batch_norm=True))

    first, second = train(order_in(tmp_path, weights_folder, config), on_event=Listener()).stages

    before, after = read(first.folder).weights, read(second.folder).weights
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("backbone.0."))
    assert not torch.equal(before["backbone.1.0.weight"], after["backbone.1.0.weight"])


def test_kept_activations_give_what_running_the_whole_network_gives(
    tmp_path: Path, tiny: Architecture, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(unfrozen(2, frozen_blocks=1))
    kept, run = Listener(), Listener()

    train(order_in(tmp_path / "kept", weights_folder, config), on_event=kept)
    monkeypatch.setattr(activations, "MAX_BYTES", 0)
    train(order_in(tmp_path / "run", weights_folder, config), on_event=run)

    reported = [sum(event.phase == "activations" for event in one.of(PhaseStarted)) for one in (kept, run)]
    # The validation images, and two views of the others.
    assert reported == [3, 0]
    losses = [[event.valid_loss for event in one.of(EpochFinished)] for one in (kept, run)]
    assert losses[0] == pytest.approx(losses[1], rel=0.01)


def test_killed_and_resumed_equals_never_killed(tmp_path: Path, tiny: Architecture, weights_folder: Path) -> None:
    config = tiny_config(frozen(1), unfrozen(3, frozen_blocks=1))
    whole = train(order_in(tmp_path / "whole", weights_folder, config), on_event=Listener()).stages[-1]

    def die(event: object) -> None:
        if isinstance(event, StateSaved) and (event.stage, event.epoch) == (1, 2):
            raise Killed

    killed = Listener(at=die)
    with pytest.raises(Killed):
        train(order_in(tmp_path / "killed", weights_folder, config), on_event=killed)
    points = [
        StatePoint(one.stage, one.epoch, one.step, one.file, one.sha256) for one in reversed(killed.of(StateSaved))
    ]
    order = order_in(tmp_path / "killed", weights_folder, config, resume_from=tuple(points[:2]))
    resumed = train(order, on_event=Listener()).stages[-1]

    after, never = read(resumed.folder).weights, read(whole.folder).weights
    assert all(torch.equal(after[name], never[name]) for name in never)
