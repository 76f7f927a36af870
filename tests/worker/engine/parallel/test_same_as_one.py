"""A training of two processes gives what one gives, within rounding."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from backend.domain.events import EpochFinished, ImageSkipped, MicroBatchHalved, StageFinished, StepFinished
from backend.domain.training import ClassBalance, Precision, TrainingConfig
from tests.fixtures.engine import Listener, frozen, order_in, shapes, tiny_config, unfrozen
from tests.worker.engine.parallel.pair import Pair, trained
from worker.engine.data.batches import Views
from worker.engine.data.source import Unreadable
from worker.engine.network.architectures import Classifier
from worker.engine.order import TrainingOrder
from worker.engine.recipe import train

CONFIGS: dict[str, Callable[[], TrainingConfig]] = {
    "head": lambda: tiny_config(frozen(2), batch_size=4),
    "frozen, batch norm learns": lambda: tiny_config(frozen(2, train_batch_norm=True, max_lr=1e-3), batch_size=4),
    "above frozen blocks": lambda: tiny_config(unfrozen(2, frozen_blocks=1), batch_size=4),
    "whole network": lambda: tiny_config(unfrozen(2), batch_size=5),
    "whole network, batch norm learns": lambda: tiny_config(unfrozen(2, train_batch_norm=True), batch_size=4),
    "head, then all": lambda: tiny_config(frozen(1), unfrozen(1, max_lr=(1e-4, 1e-3)), batch_size=4, test_time_views=1),
    "weighted, smoothed": lambda: tiny_config(
        unfrozen(1), batch_size=8, class_balance=ClassBalance.WEIGHTED_LOSS, label_smoothing=0.1
    ),
}


def losses(listener: Listener) -> list[float]:
    return [loss for event in listener.of(StepFinished) for loss in event.losses]


def weights(order: TrainingOrder, stage: int) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(order.output_folder / f"stage-{stage}" / "weights.safetensors")


@pytest.mark.parametrize("name", CONFIGS)
def test_two_processes_give_the_losses_and_weights_of_one(
    name: str, pair: Pair, tmp_path: Path, weights_folder: Path
) -> None:
    # Where a processor multiplies bfloat16 itself, sums of other parts would round a thousandth away.
    config = CONFIGS[name]().model_copy(update={"precision": Precision.FLOAT32})
    one, two = (order_in(tmp_path / kind, weights_folder, config, shapes(test=1)) for kind in ("one", "two"))
    alone = Listener()
    train(one, on_event=alone)

    together = trained(pair.train(two))

    # Adam divides by gradients that may be next to nothing, so what is rounded grows from step to step.
    # float32, whose sums come in another order: after a few steps of Adam the seventh digit has grown to the fifth.
    assert losses(together)[:3] == pytest.approx(losses(alone)[:3], rel=5e-5)
    assert losses(together) == pytest.approx(losses(alone), abs=1e-4)
    assert [event.valid_loss for event in together.of(EpochFinished)] == pytest.approx(
        [event.valid_loss for event in alone.of(EpochFinished)], abs=1e-4
    )
    assert [event.error_rate for event in together.of(StageFinished)] == [
        event.error_rate for event in alone.of(StageFinished)
    ]
    for stage in range(len(config.stages)):
        expected = weights(one, stage)
        for tensor_name, tensor in weights(two, stage).items():
            assert torch.allclose(tensor, expected[tensor_name], atol=1e-4), tensor_name


def test_an_image_that_cannot_be_read_is_left_out_of_the_same_batch(
    pair: Pair, tmp_path: Path, weights_folder: Path
) -> None:
    manifest, opened = shapes()
    opened.files[manifest.images[0].digest] = b"no image"
    config = tiny_config(unfrozen(1), batch_size=4, precision="float32")
    one, two = (order_in(tmp_path / kind, weights_folder, config, (manifest, opened)) for kind in ("one", "two"))
    alone = Listener()
    train(one, on_event=alone)

    together = trained(pair.train(two))

    assert [event.image_id for event in together.of(ImageSkipped)] == [manifest.images[0].id]
    assert losses(together) == pytest.approx(losses(alone), abs=1e-5)


def test_an_image_that_goes_bad_for_the_second_process_is_named_by_the_first(
    pair: Pair, tmp_path: Path, weights_folder: Path
) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(unfrozen(1), batch_size=4))

    together = trained(pair.train(order, second_cannot_read_its_first))

    assert [event.reason for event in together.of(ImageSkipped)] == ["gone"]
    assert len(losses(together)) == 5


def second_cannot_read_its_first(rank: int, patch: pytest.MonkeyPatch) -> None:
    real, gone = Views.__getitem__, list[int]()

    def shown(views: Views, key: tuple[int, int]) -> object:
        gone.extend([key[1]] if views.augmentation is not None and not gone else [])
        return (key[1], 0, Unreadable(views.labelled.images[key[1]], "gone")) if key[1] in gone else real(views, key)

    if rank == 1:
        patch.setattr(Views, "__getitem__", shown)


def test_where_the_memory_of_one_is_too_small_both_learn_from_fewer_images_at_once(
    pair: Pair, tmp_path: Path, weights_folder: Path
) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(unfrozen(1), batch_size=8))

    together = trained(pair.train(order, second_has_room_for_two))

    # Four of eight were too many for it, so two at a time it is, for both.
    assert [event.micro_batch for event in together.of(MicroBatchHalved)] == [2]
    assert len(losses(together)) == 3


def second_has_room_for_two(rank: int, patch: pytest.MonkeyPatch) -> None:
    real = Classifier.forward

    def forward(model: Classifier, images: torch.Tensor) -> torch.Tensor:
        if model.training and len(images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(model, images)

    if rank == 1:
        patch.setattr(Classifier, "forward", forward)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are no two GPUs here")
def test_two_graphics_cards_give_the_losses_of_one(pair: Pair, tmp_path: Path, weights_folder: Path) -> None:
    config = tiny_config(unfrozen(2, train_batch_norm=True), batch_size=4, precision="float32")
    one, two = (order_in(tmp_path / kind, weights_folder, config) for kind in ("one", "two"))
    alone = Listener()
    train(replace(one, device="cuda:0"), on_event=alone)

    together = trained(pair.train(two, devices=("cuda:0", "cuda:1")))

    assert losses(together) == pytest.approx(losses(alone), abs=1e-3)
