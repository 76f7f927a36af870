import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from backend.domain.events import Event, ImageSkipped, PhaseProgress, RateFound, StateSaved, StepFinished
from backend.domain.lr_finder import rate_at
from backend.domain.training import StageRequest
from tests.fixtures.engine import (
    Killed,
    Listener,
    StopNow,
    frozen,
    order_in,
    shapes,
    tiny_config,
    unfrozen,
)
from worker.engine.loop import lr_finder
from worker.engine.order import StatePoint, Stopped, TrainingOrder
from worker.engine.parallel.ranks import ALONE
from worker.engine.recipe import find_learning_rate, train

pytestmark = pytest.mark.usefixtures("tiny")


def searched(stage: StageRequest) -> StageRequest:
    return stage.model_copy(update={"max_lr": "find"})


@pytest.fixture
def order(tmp_path: Path, weights_folder: Path) -> TrainingOrder:
    return order_in(tmp_path, weights_folder, tiny_config(searched(frozen())))


def of(order: TrainingOrder, *stages: StageRequest) -> TrainingOrder:
    return replace(order, config=tiny_config(*stages))


@pytest.mark.parametrize(
    "stage", [frozen(), frozen(train_batch_norm=True), unfrozen(), unfrozen(train_batch_norm=True)]
)
def test_it_works_on_fewer_images_than_a_hundred_batches(order: TrainingOrder, stage: StageRequest) -> None:
    """18 images are three batches of 8: the data go round."""
    curve, found = find_learning_rate(of(order, stage), on_event=Listener(), seeds=1)

    assert curve.learning_rates[0] == pytest.approx(rate_at(10, 100))
    assert 40 < len(curve) <= 85
    assert isinstance(found.max_lr, tuple) is not stage.freeze


def test_three_seeds_give_a_band_around_the_middle_one(order: TrainingOrder) -> None:
    curve, _ = find_learning_rate(order, on_event=Listener())

    points = list(zip(curve.losses_low, curve.losses, curve.losses_high, strict=True))
    assert all(low <= middle <= high for low, middle, high in points)
    assert any(low < middle < high for low, middle, high in points)


def test_further_tries_are_left_out_where_they_would_take_too_long(order: TrainingOrder) -> None:
    curve, _ = find_learning_rate(order, on_event=Listener(), within_s=0.0)

    assert curve.tries == 1
    assert curve.losses_low == curve.losses == curve.losses_high


def test_two_searches_of_the_same_order_give_the_same_curve(order: TrainingOrder) -> None:
    first, _ = find_learning_rate(order, on_event=Listener(), seeds=1)
    second, _ = find_learning_rate(order, on_event=Listener(), seeds=1)

    assert first == second


def test_progress_is_asked_to_the_last_step(order: TrainingOrder) -> None:
    listener = Listener()
    find_learning_rate(of(order, frozen()), on_event=listener, seeds=1)

    last = [event for event in listener.of(PhaseProgress) if event.phase == "rate"]
    assert all(event.total == 100 and event.done <= 100 for event in last)


def test_it_stops_when_told(order: TrainingOrder) -> None:
    with pytest.raises(Stopped):
        find_learning_rate(order, on_event=Listener(), stop=StopNow())


def test_it_leaves_no_file(order: TrainingOrder) -> None:
    find_learning_rate(order, on_event=Listener(), seeds=1)

    assert [file for file in order.state_folder.rglob("*") if file.is_file()] == []
    assert not order.output_folder.exists()


def test_weights_buffers_modes_and_random_numbers_are_as_before() -> None:
    low = torch.nn.Linear(4, 4)
    model = torch.nn.Sequential(low, torch.nn.BatchNorm1d(4)).eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)

    def fail() -> None:
        with lr_finder.restored_afterwards(model, torch.device("cpu")):
            model.train()
            torch.nn.init.ones_(low.weight)
            model(torch.rand(8, 4)).sum().backward()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.rand(3), expected)
    assert not any(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def weights_at(order: TrainingOrder, stage: int) -> bytes:
    return (order.output_folder / f"stage-{stage}" / "weights.safetensors").read_bytes()


@pytest.mark.parametrize("stages", [(frozen(),), (frozen(), unfrozen())], ids=["head", "both"])
def test_a_training_with_the_rate_found_equals_one_that_was_given_it(
    tmp_path: Path, order: TrainingOrder, stages: tuple[StageRequest, ...]
) -> None:
    """Weights, optimizer, batch norm and random numbers are, bit for bit, as if nothing had been searched."""
    listener = Listener()
    train(of(order, *map(searched, stages)), on_event=listener)
    rates = [event.max_lr for event in listener.of(RateFound)]
    given = [stage.model_copy(update={"max_lr": rate}) for stage, rate in zip(stages, rates, strict=True)]
    plain = replace(of(order, *given), output_folder=tmp_path / "o2", state_folder=tmp_path / "s2")
    train(plain, on_event=Listener())

    assert [weights_at(order, place) for place in range(len(stages))] == [
        weights_at(plain, place) for place in range(len(stages))
    ]


def test_the_rate_is_asked_before_the_first_step(order: TrainingOrder) -> None:
    listener = Listener()
    train(order, on_event=listener)

    kinds = [type(event) for event in listener.events if isinstance(event, RateFound | StepFinished)]
    (found,) = listener.of(RateFound)
    assert kinds[:2] == [RateFound, StepFinished]
    assert found.suggestions.keys() == {"valley", "steep", "minimum", "slide"}
    assert len(found.learning_rates) == len(found.losses)


def test_a_resumed_training_keeps_the_rate_that_was_found(order: TrainingOrder) -> None:
    def killed(event: Event) -> None:
        if isinstance(event, StateSaved):
            raise Killed

    first, second = Listener(killed), Listener()
    with pytest.raises(Killed):
        train(order, on_event=first)
    (saved,) = first.of(StateSaved)
    point = StatePoint(saved.stage, saved.epoch, saved.step, saved.file, saved.sha256)
    train(replace(order, resume_from=(point,)), on_event=second)

    assert len(first.of(RateFound)) == 1
    assert second.of(RateFound) == []
    whole = replace(order, output_folder=order.output_folder / "2", state_folder=order.state_folder / "2")
    train(whole, on_event=Listener())
    assert weights_at(order, 0) == weights_at(whole, 0)


def test_data_that_have_become_empty_end_the_search(order: TrainingOrder) -> None:
    class Empty:
        def of(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
            return iter(())

    assert list(lr_finder._endless_batches(Empty(), ALONE, 0)) == []


def test_an_image_that_cannot_be_read_is_skipped(order: TrainingOrder) -> None:
    manifest, files = shapes()
    files.files[manifest.images[0].digest] = b"no image"
    listener = Listener()

    find_learning_rate(replace(order, manifest=manifest, open_bytes=files), on_event=listener, seeds=1)

    assert [event.image_id for event in listener.of(ImageSkipped)] == [manifest.images[0].id]


def test_losses_that_are_no_numbers_end_the_curve(order: TrainingOrder, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def loss(*_: object) -> Tensor:
        nonlocal calls
        calls += 1
        return torch.tensor(math.nan if calls > 40 else 1.0)

    monkeypatch.setattr(lr_finder, "take_step", loss)
    curve, _ = find_learning_rate(order, on_event=Listener(), seeds=1)

    assert (len(curve), calls) == (30, 41)


def test_a_loss_four_times_the_best_ends_the_search(order: TrainingOrder, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0

    def loss(*_: object) -> Tensor:
        nonlocal calls
        calls += 1
        return torch.tensor(1000.0 if calls > 40 else 1.0)

    monkeypatch.setattr(lr_finder, "take_step", loss)
    curve, _ = find_learning_rate(order, on_event=Listener(), seeds=1)

    assert (len(curve), calls) == (41 - 10 - 5, 41)
