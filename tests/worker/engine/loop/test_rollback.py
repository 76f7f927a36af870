"""Losses that are NaN or infinite: back to the last good state, with half the rate, twice."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from backend.domain.events import EpochFinished, Event, Note, RolledBack, StateSaved, StepFinished
from backend.domain.training import StageRequest
from tests.fixtures.engine import Killed, Listener, build_tiny, frozen, order_in, tiny_config, unfrozen
from tests.fixtures.faults import poisoned
from worker.engine.errors import Diverged
from worker.engine.hardware.memory import MemoryLimits
from worker.engine.loop import train as loop
from worker.engine.loop.run import NotFinite, StageRun
from worker.engine.loop.step import Guard
from worker.engine.loop.train import train_one_epoch
from worker.engine.network.architectures import Classifier, build_head
from worker.engine.network.optim import build_optimizer
from worker.engine.order import NeverStop, StatePoint, TrainingOrder
from worker.engine.recipe import train


def point(event: StateSaved) -> StatePoint:
    return StatePoint(event.stage, event.epoch, event.step, event.file, event.sha256)


def rates_of(listener: Listener, epoch: int) -> float:
    return next(event.learning_rate for event in listener.of(EpochFinished) if event.epoch == epoch)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("stage", [frozen(3), unfrozen(3)], ids=["frozen", "unfrozen"])
def test_it_goes_back_to_the_last_saved_state_with_half_the_rate(
    stage: StageRequest, tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five steps an epoch; the eighth step is the third of the second epoch."""
    order = order_in(tmp_path / "shaken", weights_folder, tiny_config(stage, batch_size=4))
    calm, shaken = Listener(), Listener()
    train(order_in(tmp_path / "calm", weights_folder, tiny_config(stage, batch_size=4)), on_event=calm)
    poisoned(monkeypatch, lambda step: step == 7)

    train(order, on_event=shaken)

    assert shaken.of(RolledBack) == [RolledBack(0, 1, 2, 0.5)]
    assert [event.text for event in shaken.of(Note) if event.topic == "rollback"] == [
        "The loss became NaN or infinite in epoch 2, step 3. "
        "Training continues from the last good state with half the learning rate."
    ]
    assert [event.epoch for event in shaken.of(EpochFinished)] == [0, 1, 2]
    assert shaken.of(EpochFinished)[0].train_loss == calm.of(EpochFinished)[0].train_loss
    assert rates_of(shaken, 1) == rates_of(calm, 1) / 2
    assert rates_of(shaken, 2) == rates_of(calm, 2) / 2


@pytest.mark.usefixtures("tiny")
def test_it_goes_back_to_the_beginning_of_the_stage_before_anything_was_saved(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(1), unfrozen(1), batch_size=4))
    listener = Listener()
    poisoned(monkeypatch, lambda step: step == 8)

    train(order, on_event=listener)

    assert listener.of(RolledBack) == [RolledBack(1, 0, 3, 0.5)]
    assert [(event.stage, event.epoch, event.step) for event in listener.of(StateSaved)] == [
        (0, 1, 0),
        (1, 0, 0),
        (1, 1, 0),
    ]


@pytest.mark.usefixtures("tiny")
def test_after_two_tries_it_gives_up_in_words_and_what_is_saved_is_finite(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(unfrozen(2, max_lr=1e-3), batch_size=4))
    listener = Listener()
    poisoned(monkeypatch, lambda step: step >= 6)

    with pytest.raises(Diverged) as refusal:
        train(order, on_event=listener)

    assert [event.factor for event in listener.of(RolledBack)] == [0.5, 0.25]
    assert refusal.value.message == (
        "The training diverged in epoch 2 of stage 1, at step 1: its loss became NaN or infinite, "
        "even at half and at a quarter of the learning rate."
    )
    assert "0.0001" in refusal.value.advice
    files = list(order.state_folder.glob("state-*"))
    tensors = [tensor for file in files for tensor in safetensors.torch.load_file(file).values()]
    assert files
    assert all(bool(torch.isfinite(tensor).all()) for tensor in tensors if tensor.is_floating_point())


@pytest.mark.usefixtures("tiny")
def test_weights_that_became_no_numbers_are_found_before_they_are_saved(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bit that flips in memory: no loss shows it."""
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(2), batch_size=4))
    real = loop.train_one_epoch
    hits = iter([False, True])

    def train_one_epoch(run: StageRun, **given: object) -> float:
        rate = real(run, **given)  # type: ignore[arg-type]
        if next(hits, False):
            run.model.backbone.get_parameter("1.0.weight").data[0] = math.inf
        return rate

    monkeypatch.setattr("worker.engine.loop.epoch.train_one_epoch", train_one_epoch)
    listener = Listener()

    train(order, on_event=listener)

    assert len(listener.of(RolledBack)) == 1
    assert [event.epoch for event in listener.of(EpochFinished)] == [0, 1]


def kill_at_rollback(event: Event) -> None:
    """Ends the process right after the state that follows a rollback was saved."""
    if isinstance(event, StateSaved) and event.epoch == 0:
        raise Killed


def killed(order: TrainingOrder, listener: Listener) -> None:
    with pytest.raises(Killed):
        train(order, on_event=listener)


@pytest.mark.usefixtures("tiny")
def test_a_kill_does_not_forget_that_the_rate_was_halved(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(unfrozen(1), batch_size=4)
    whole, broken = (order_in(tmp_path / name, weights_folder, config) for name in ("whole", "broken"))
    with monkeypatch.context() as patch:
        poisoned(patch, lambda step: step == 2)
        train(whole, on_event=Listener())
    first, second = Listener(kill_at_rollback), Listener()
    with monkeypatch.context() as patch:
        poisoned(patch, lambda step: step == 2)
        killed(broken, first)

    train(replace(broken, resume_from=(point(first.of(StateSaved)[-1]),)), on_event=second)

    weights = "stage-0/weights.safetensors"
    assert second.of(RolledBack) == []
    assert (broken.output_folder / weights).read_bytes() == (whole.output_folder / weights).read_bytes()


class HalfPrecision:
    """What a guard looks at of a run in float16."""

    device = torch.device("cpu")
    scaler = torch.amp.GradScaler("cpu", enabled=True)


FINE, NO_NUMBER = torch.tensor(1.0), torch.tensor(math.inf)


def test_float16_may_overflow_twenty_times_in_a_row_and_not_once_more() -> None:
    guard = Guard(HalfPrecision)  # type: ignore[arg-type] # it looks at no more
    for _ in range(20):
        guard.note(FINE, NO_NUMBER)
    guard.note(FINE, FINE)
    for _ in range(20):
        guard.note(FINE, NO_NUMBER)

    with pytest.raises(NotFinite):
        guard.note(FINE, NO_NUMBER)


def test_on_a_gpu_it_is_only_looked_at_when_asked() -> None:
    guard = Guard(HalfPrecision)  # type: ignore[arg-type] # as above
    guard._checks_at_once = False
    guard.note(torch.tensor(math.nan), FINE)
    guard.note(FINE, FINE)

    with pytest.raises(NotFinite):
        guard.check()


@pytest.mark.usefixtures("tiny")
def test_no_loss_of_a_step_that_was_taken_back_is_told(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(1), batch_size=4))
    poisoned(monkeypatch, lambda step: step == 3)
    listener = Listener()

    train(order, on_event=listener)

    losses = [loss for event in listener.of(StepFinished) for loss in event.losses]
    assert all(math.isfinite(loss) for loss in losses)


def test_a_gpu_leaves_out_a_bad_step_and_all_that_follow_without_being_looked_at() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight], lr=0.1, fused=True)
    guard = Guard(FullPrecision)  # type: ignore[arg-type] # as above
    guard._checks_at_once = False
    seen = []
    for loss in (FINE, torch.tensor(math.nan), FINE):
        weight.grad = torch.ones(3) * loss
        guard.note(loss, FINE)
        guard.skip_if_bad(optimizer)
        optimizer.step()
        seen.append(weight.detach().clone())

    assert float(seen[0][0]) == pytest.approx(0.899, abs=1e-4)
    assert torch.equal(seen[0], seen[2])


class FullPrecision(HalfPrecision):
    """The same in float32."""

    scaler = torch.amp.GradScaler("cpu", enabled=False)


def in_half_precision(scale: float, times: int) -> StageRun:
    """Steps on one batch with the scaler of float16, which begins at a scale."""
    config = tiny_config(unfrozen(1, max_lr=1e-2))
    torch.manual_seed(1)
    model = Classifier(build_tiny(None), build_head(8, 3, last_layer_bias=True, seed=1))
    batch = (torch.randn(4, 3, 32, 32), torch.arange(4) % 3)

    class Batches:
        def of(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
            return iter([batch] * (times - first_step))

    return StageRun(
        number=0,
        stage=config.stages[0],
        model=model,
        forward=lambda images: model(images) * 1e4,
        batches=Batches(),
        optimizer=build_optimizer(model, config.stages[0], config),
        steps_per_epoch=times,
        device=torch.device("cpu"),
        autocast=None,
        scaler=torch.amp.GradScaler("cpu", init_scale=scale),
        limits=MemoryLimits(4),
    )


@pytest.mark.usefixtures("tiny")
def test_a_step_that_overflows_is_left_out_and_scaled_less() -> None:
    run = in_half_precision(2.0**127, 1)
    before = [parameter.clone() for parameter in run.model.parameters()]

    train_one_epoch(run, on_event=Listener(), stop=NeverStop())

    assert all(torch.equal(*pair) for pair in zip(before, run.model.parameters(), strict=True))
    assert run.scaler.get_scale() == 2.0**126


@pytest.mark.usefixtures("tiny")
def test_a_scale_that_fits_lets_the_network_learn() -> None:
    run = in_half_precision(2.0**10, 1)
    before = [parameter.clone() for parameter in run.model.parameters()]

    train_one_epoch(run, on_event=Listener(), stop=NeverStop())

    assert not all(torch.equal(*pair) for pair in zip(before, run.model.parameters(), strict=True))


@pytest.mark.usefixtures("tiny")
def test_epochs_that_are_in_the_table_and_not_yet_saved_are_not_repeated(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.engine.loop.saving.SHARE", 0.0)
    listener = Listener()
    poisoned(monkeypatch, lambda step: step == 12)

    train(order_in(tmp_path, weights_folder, tiny_config(frozen(3), batch_size=4)), on_event=listener)

    assert listener.of(RolledBack) == [RolledBack(0, 2, 2, 0.5)]
    assert [event.epoch for event in listener.of(EpochFinished)] == [0, 1, 2]
    assert [(event.epoch, event.step) for event in listener.of(StateSaved)] == [(2, 0), (3, 0)]
