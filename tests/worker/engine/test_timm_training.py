"""Networks of timm of different families, trained from drawn weights: every way of a stage, and what comes out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import safetensors.torch
import torch

from backend.domain.events import StateSaved
from backend.domain.training import NO_AUGMENTATION, StageRequest, TrainingConfig, TrainingRequest, resolve
from backend.imaging.preprocessing import Preprocessing
from tests.fixtures.engine import Listener, frozen, order_in, shapes, unfrozen
from tests.fixtures.timm_networks import CONVOLUTIONAL, TRANSFORMER, WITH_BATCH_NORM, drawn
from worker.engine.checkpoints import checkpoint
from worker.engine.data.source import to_input
from worker.engine.network.architectures import build
from worker.engine.order import StatePoint, Stopped, TrainingOrder
from worker.engine.recipe import find_learning_rate, train

FAMILIES = (CONVOLUTIONAL, WITH_BATCH_NORM, TRANSFORMER)


def config(name: str, *stages: StageRequest, image_size: int = 32) -> TrainingConfig:
    return resolve(
        TrainingRequest(
            architecture=name, image_size=image_size, batch_size=4, augmentation=NO_AUGMENTATION, stages=stages
        )
    )


@pytest.fixture(params=FAMILIES)
def order(request: pytest.FixtureRequest, tmp_path: Path) -> TrainingOrder:
    entry = drawn(request.param, tmp_path / "weights")
    stages = (frozen(2, max_lr=3e-3), unfrozen(2, frozen_blocks=2, max_lr=(1e-5, 1e-4)))
    return order_in(tmp_path, tmp_path / "weights", config(entry.name, *stages), shapes(train=4, valid=2))


class GivenLater:
    """A stop signal that a test gives."""

    given = False

    def requested(self) -> bool:
        return self.given

    def finish_requested(self) -> bool:
        """Never."""
        return False


def in_blocks(order: TrainingOrder, which: slice) -> set[str]:
    """Names of the parameters in these blocks of the network."""
    model = build(order.config.entry, 3, last_layer_bias=False, seed=1)
    inside = {id(parameter) for block in model.blocks()[which] for parameter in block.parameters()}
    return {name for name, parameter in model.named_parameters() if id(parameter) in inside}


def test_a_frozen_stage_and_one_above_frozen_blocks_give_models_that_answer_alike_as_onnx(order: TrainingOrder) -> None:
    result = train(order, on_event=Listener())

    for stage in result.stages:
        written = checkpoint.read(stage.folder)
        assert (written.parity.agreement, written.parity.images) == (1.0, 6)
        assert written.parity.max_difference < 1e-5
    first, second = (safetensors.torch.load_file(stage.folder / "weights.safetensors") for stage in result.stages)
    changed = {name for name in first if name.startswith("backbone") and not torch.equal(first[name], second[name])}
    assert changed
    assert not changed & in_blocks(order, slice(0, 2))
    assert changed >= in_blocks(order, slice(-1, None)) - {name for name in first if "num_batches" in name}


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(order: TrainingOrder, tmp_path: Path) -> None:
    whole = train(order, on_event=Listener())

    stop, points = GivenLater(), list[StatePoint]()

    def listen(event: object) -> None:
        if isinstance(event, StateSaved):
            points.insert(0, StatePoint(event.stage, event.epoch, event.step, event.file, event.sha256))
            stop.given = event.stage == 1

    again = replace(order, output_folder=tmp_path / "again", state_folder=tmp_path / "again-states")
    with pytest.raises(Stopped):
        train(again, on_event=listen, stop=stop)
    resumed = train(replace(again, resume_from=tuple(points[:2])), on_event=Listener())

    assert [checkpoint.read(one.folder).content["tensors_sha256"] for one in resumed.stages] == [
        checkpoint.read(one.folder).content["tensors_sha256"] for one in whole.stages
    ]


def test_a_learning_rate_is_searched(order: TrainingOrder) -> None:
    curve, found = find_learning_rate(order, on_event=Listener(), seeds=1)

    assert len(curve) > 10
    assert found is not None


def test_the_exported_file_answers_as_the_network_at_another_size_than_its_own(tmp_path: Path) -> None:
    entry = drawn(TRANSFORMER, tmp_path / "weights")
    order = order_in(
        tmp_path, tmp_path / "weights", config(entry.name, unfrozen(1), image_size=48), shapes(train=2, valid=1)
    )

    (stage,) = train(order, on_event=Listener()).stages

    written = checkpoint.read(stage.folder)
    steps = Preprocessing.from_json(written.content["preprocessing"])
    model = build(entry, 3, last_layer_bias=False, seed=1).eval()
    model.load_state_dict(dict(written.weights))
    pixels = torch.randint(0, 255, (3, 48, 48, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = torch.softmax(model(to_input(pixels, steps, torch.device("cpu"))), dim=1).numpy()
    session = onnxruntime.InferenceSession(stage.folder / "model.onnx", providers=["CPUExecutionProvider"])
    (answered,) = session.run(["probabilities"], {"images": (pixels.float() / 255).permute(0, 3, 1, 2).numpy()})
    assert np.abs(answered - expected).max() < 1e-5
    assert json.loads((stage.folder / "checkpoint.json").read_bytes())["config"]["network"]["blocks"] == 7
