"""A training with a time limit ends in time, with its learning rate come down."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from backend.domain.events import EpochFinished, EpochsChanged, StageFinished, StateSaved, StepFinished
from tests.fixtures.engine import Killed, Listener, frozen, order_in, tiny_config, unfrozen
from worker.engine.checkpoints import checkpoint
from worker.engine.loop.time_limit import TimeLimit
from worker.engine.order import StatePoint, TrainingOrder
from worker.engine.recipe import train

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, int]], None]:
    """Says after how many epochs there is room for how many in all."""

    def set_room(epochs: dict[int, int]) -> None:
        def that_fit(self: TimeLimit, done: int, current: int, planned: int, seconds: object) -> int:
            return epochs.get(done, current)

        monkeypatch.setattr(TimeLimit, "epochs_that_fit", that_fit)

    return set_room


def weights(order: TrainingOrder, stage: int = 0) -> dict[str, torch.Tensor]:
    return dict(checkpoint.read(order.output_folder / f"stage-{stage}").weights)


def test_a_stage_has_as_many_epochs_as_fit_and_its_rate_comes_down_all_the_same(
    tmp_path: Path, weights_folder: Path, room: Callable[[dict[int, int]], None]
) -> None:
    room({2: 4, 3: 5})
    listener = Listener()

    train(order_in(tmp_path, weights_folder, tiny_config(unfrozen(8))), on_event=listener)

    assert listener.of(EpochsChanged) == [EpochsChanged(0, 4, 8), EpochsChanged(0, 5, 8)]
    assert [event.epoch for event in listener.of(EpochFinished)] == [0, 1, 2, 3, 4]
    rates = [event.learning_rate for event in listener.of(EpochFinished)]
    whole = Listener()
    train(order_in(tmp_path / "whole", weights_folder, tiny_config(unfrozen(8))), on_event=whole)
    assert rates[:2] == [event.learning_rate for event in whole.of(EpochFinished)][:2]
    assert rates[-1] < 0.2 * max(rates)
    # Shown on the scale that was planned.
    assert {event.steps for event in listener.of(StepFinished)} == {event.steps for event in whole.of(StepFinished)}


def test_only_the_last_stage_is_changed(
    tmp_path: Path, weights_folder: Path, room: Callable[[dict[int, int]], None]
) -> None:
    room({1: 2})
    listener = Listener()

    train(order_in(tmp_path, weights_folder, tiny_config(frozen(3), unfrozen(3))), on_event=listener)

    assert listener.of(EpochsChanged) == [EpochsChanged(1, 2, 3)]
    assert [(event.stage, event.epoch) for event in listener.of(StageFinished)] == [(0, 2), (1, 1)]


def test_after_an_interruption_it_keeps_the_changed_number_and_learns_the_same(
    tmp_path: Path, weights_folder: Path, room: Callable[[dict[int, int]], None]
) -> None:
    room({2: 4})
    config = tiny_config(unfrozen(8), batch_size=4)
    at_once = order_in(tmp_path / "at-once", weights_folder, config)
    train(at_once, on_event=Listener())
    order = order_in(tmp_path, weights_folder, config)
    first = Listener(lambda event: kill_after(event, epoch=2))
    with pytest.raises(Killed):
        train(order, on_event=first)
    points = tuple(
        StatePoint(event.stage, event.epoch, event.step, event.file, event.sha256)
        for event in reversed(first.of(StateSaved))
    )
    room({})
    second = Listener()

    train(order_in(tmp_path, weights_folder, config, resume_from=points), on_event=second)

    assert [event.epoch for event in second.of(EpochFinished)] == [3]
    assert second.of(EpochsChanged) == [EpochsChanged(0, 4, 8)]
    expected = weights(at_once)
    found = weights(order)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def kill_after(event: object, *, epoch: int) -> None:
    if isinstance(event, StateSaved) and event.epoch == epoch + 1:
        raise Killed
