"""A training that starts from a checkpoint continues the random numbers of its lineage."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend.domain.events import EpochFinished, StateSaved, StepFinished
from backend.domain.ids import ImageId
from backend.domain.manifest import Manifest, ManifestImage, Split
from backend.domain.training import StageRequest, TrainingConfig, TrainingRequest, resolve
from tests.fixtures.engine import Bytes, Killed, Listener, digest_of, frozen, order_in, tiny_config, unfrozen
from tests.fixtures.pictures import encode
from worker.engine.checkpoints import checkpoint
from worker.engine.order import StatePoint, TrainingOrder
from worker.engine.recipe import find_learning_rate, train

HARDLY: dict[str, Any] = {"max_lr": 1e-9}  # Any: keyword arguments
"""A rate at which weights stay what they are: losses then differ by what is drawn alone."""


def continued(order: TrainingOrder, folder: Path, stage: StageRequest, **given: Any) -> TrainingOrder:  # Any: as above
    """An order that starts from the last checkpoint of another."""
    last = sorted(order.output_folder.glob("stage-*"))[-1]
    return replace(
        order,
        config=tiny_config(stage, **given),
        output_folder=folder / "output",
        state_folder=folder / "states",
        starts_from=last,
    )


def step_losses(order: TrainingOrder) -> list[float]:
    """Train; the loss of each step."""
    listener = Listener()
    train(order, on_event=listener)
    return [loss for event in listener.of(StepFinished) for loss in event.losses]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("class_balance", ["none", "balanced-sampling"])
@pytest.mark.parametrize(
    "second",
    [frozen(2, views=2), frozen(2, train_batch_norm=True), unfrozen(2, max_lr=1e-3, frozen_blocks=1), unfrozen(2)],
    ids=["features", "batch norm", "activations", "whole network"],
)
def test_a_stage_gives_the_same_in_one_training_or_as_one_of_its_own(
    second: StageRequest, class_balance: str, tmp_path: Path, weights_folder: Path
) -> None:
    together = order_in(tmp_path / "both", weights_folder, tiny_config(frozen(1), second, class_balance=class_balance))
    alone = order_in(
        tmp_path / "one",
        weights_folder,
        tiny_config(frozen(1), class_balance=class_balance),
        features_folder=tmp_path / "features",
    )
    both, one = Listener(), Listener()

    train(together, on_event=both)
    train(alone, on_event=Listener())
    train(continued(alone, tmp_path / "two", second, class_balance=class_balance), on_event=one)

    found = [replace(event, duration_s=0.0) for event in one.of(EpochFinished)]
    assert found == [replace(event, stage=0, duration_s=0.0) for event in both.of(EpochFinished) if event.stage == 1]
    assert (tmp_path / "two/output/stage-0/weights.safetensors").read_bytes() == (
        tmp_path / "both/output/stage-1/weights.safetensors"
    ).read_bytes()


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("stage", [frozen(1, **HARDLY), unfrozen(1, **HARDLY)], ids=["features", "whole network"])
def test_a_chain_of_trainings_never_draws_the_same_twice(
    stage: StageRequest, tmp_path: Path, weights_folder: Path
) -> None:
    first = order_in(tmp_path / "1", weights_folder, tiny_config(frozen(1), frozen(1)))
    train(first, on_event=Listener())
    second = continued(first, tmp_path / "2", stage)
    losses = [step_losses(second)]
    third = continued(second, tmp_path / "3", stage)

    losses += [step_losses(third), step_losses(replace(third, output_folder=tmp_path / "again"))]

    assert losses[1] != pytest.approx(losses[0], rel=1e-3)
    assert losses[2] == losses[1]
    assert checkpoint.read(third.output_folder / "stage-0").lineage_stages == 4


def noise() -> tuple[Manifest, Bytes]:
    """48 pictures of noise to train on, which can only be memorised, and 8 for validation; four classes."""
    random, opened, images = np.random.default_rng(0), Bytes(), []
    for number in range(56):
        digest = digest_of(str(number))
        opened.files[digest] = encode(Image.fromarray(random.integers(0, 255, (80, 80, 3), dtype=np.uint8)))
        split = Split.TRAIN if number < 48 else Split.VALID
        images.append(ManifestImage(ImageId(str(number)), digest, f"{number}.png", "abcd"[number % 4], split))
    return Manifest(tuple("abcd"), tuple(images)), opened


@pytest.mark.weights
def test_memorised_views_do_not_come_again(tmp_path: Path) -> None:
    def config(epochs: int, rate: float, seed: int) -> TrainingConfig:
        stage = frozen(epochs, max_lr=rate, train_batch_norm=True)
        return resolve(TrainingRequest(stages=(stage,), image_size=64, batch_size=16, seed=seed))

    first = order_in(tmp_path / "first", tmp_path, config(6, 3e-3, 42), noise())
    train(first, on_event=Listener())

    def train_loss(seed: int) -> float:
        listener = Listener()
        folder = tmp_path / str(seed)
        train(
            replace(
                first,
                config=config(1, 1e-9, seed),
                output_folder=folder / "output",
                state_folder=folder / "states",
                starts_from=first.output_folder / "stage-0",
            ),
            on_event=listener,
        )
        return listener.of(EpochFinished)[-1].train_loss

    assert train_loss(42) > train_loss(7) / 2


@pytest.mark.usefixtures("tiny")
def test_the_search_for_a_rate_continues_the_lineage(tmp_path: Path, weights_folder: Path) -> None:
    first = order_in(tmp_path / "1", weights_folder, tiny_config(frozen(1)))
    train(first, on_event=Listener())
    second = continued(first, tmp_path / "2", frozen(1, **HARDLY))
    train(second, on_event=Listener())
    third = replace(second, starts_from=second.output_folder / "stage-0")

    curves = [find_learning_rate(order, on_event=Listener(), seeds=1)[0] for order in (second, third)]

    assert curves[0].losses[0] != pytest.approx(curves[1].losses[0], rel=1e-3)


@pytest.mark.usefixtures("tiny")
def test_an_interrupted_training_of_a_lineage_resumes_bit_for_bit(tmp_path: Path, weights_folder: Path) -> None:
    first = order_in(tmp_path / "1", weights_folder, tiny_config(frozen(1)))
    train(first, on_event=Listener())
    whole = continued(first, tmp_path / "whole", unfrozen(3))
    train(whole, on_event=Listener())

    def kill(event: object) -> None:
        if isinstance(event, StateSaved) and event.epoch == 1:
            raise Killed

    broken, listener = continued(first, tmp_path / "broken", unfrozen(3)), Listener(kill)
    with pytest.raises(Killed):
        train(broken, on_event=listener)
    saved = listener.of(StateSaved)[-1]
    point = StatePoint(saved.stage, saved.epoch, saved.step, saved.file, saved.sha256)
    # The checkpoint that it began with may be gone by then.
    train(replace(broken, resume_from=(point,), starts_from=tmp_path / "gone"), on_event=Listener())

    weights, parts = "output/stage-0/weights.safetensors", ("whole", "broken")
    assert len({(tmp_path / part / weights).read_bytes() for part in parts}) == 1
    assert checkpoint.read(broken.output_folder / "stage-0").lineage_stages == 2


@pytest.mark.usefixtures("tiny")
def test_a_checkpoint_of_an_earlier_version_counts_the_stages_of_its_own_training(
    tmp_path: Path, weights_folder: Path
) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(1), frozen(1)))
    train(order, on_event=Listener())
    file = order.output_folder / "stage-1" / "checkpoint.json"
    content = json.loads(file.read_text())
    del content["stages_before"]
    file.write_text(json.dumps(content))

    assert checkpoint.read(file.parent).lineage_stages == 2
