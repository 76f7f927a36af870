"""G10: the same order twice gives the same figures and the same weights."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from backend.domain.events import EpochFinished, StepFinished
from tests.fixtures.engine import Listener, frozen, order_in, tiny_config, unfrozen
from worker.engine.recipe import train


def told_and_hash(folder: Path, weights_folder: Path, *, seed: int, device: str = "cpu") -> tuple[list[object], str]:
    """What a training of both kinds of stage tells, without its times, and the hash of its last weights."""
    config = tiny_config(frozen(2), unfrozen(2, max_lr=(1e-4, 1e-3)), batch_size=4, seed=seed)
    order = replace(order_in(folder, weights_folder, config), device=device)
    listener = Listener()
    train(order, on_event=listener)
    reported: list[object] = [replace(event, duration_s=0) for event in listener.of(EpochFinished)]
    # How many steps one event tells of depends on the clock.
    reported += [(event.stage, event.epoch, loss) for event in listener.of(StepFinished) for loss in event.losses]
    weights = (order.output_folder / "stage-1" / "weights.safetensors").read_bytes()
    return reported, hashlib.sha256(weights).hexdigest()


@pytest.mark.usefixtures("tiny")
def test_g10_the_same_seed_gives_the_same_epochs_and_the_same_weights(tmp_path: Path, weights_folder: Path) -> None:
    first = told_and_hash(tmp_path / "first", weights_folder, seed=5)
    second = told_and_hash(tmp_path / "second", weights_folder, seed=5)
    other = told_and_hash(tmp_path / "other", weights_folder, seed=6)

    assert second == first
    assert other[0] != first[0]
    assert other[1] != first[1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.usefixtures("tiny")
def test_g10_the_same_seed_gives_nearly_the_same_losses_on_a_gpu(tmp_path: Path, weights_folder: Path) -> None:
    """Nearly: sums on a GPU come in no fixed order, and only a processor is promised to repeat bit for bit."""
    first, second = (
        told_and_hash(tmp_path / name, weights_folder, seed=5, device="cuda:0")[0] for name in ("first", "second")
    )

    assert losses(second) == pytest.approx(losses(first), rel=1e-2)


def losses(reported: list[object]) -> list[float]:
    return [event.valid_loss for event in reported if isinstance(event, EpochFinished)]
