"""How a stage ends: after all its epochs or before, and with which of them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from backend.domain.events import (
    EpochFinished,
    Event,
    Note,
    StageCutShort,
    StageFinished,
    StageStarted,
    StateSaved,
    StepFinished,
)
from backend.domain.json import Json
from backend.domain.results import Evaluation
from tests.fixtures.engine import Killed, Listener, frozen, order_in, tiny_config, unfrozen
from worker.engine.checkpoints.checkpoint import read_predictions
from worker.engine.loop import epoch as epochs
from worker.engine.loop.best import Best
from worker.engine.order import StatePoint, TrainingOrder
from worker.engine.recipe import train


class FinishAt:
    """Asks to end well once an event of a kind has come."""

    def __init__(self, kind: type[Event]) -> None:
        self.kind, self.asked = kind, False

    def __call__(self, event: Event) -> None:
        self.asked = self.asked or isinstance(event, self.kind)

    def requested(self) -> bool:
        """Never."""
        return False

    def finish_requested(self) -> bool:
        """Once the event came."""
        return self.asked


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes epochs as good as a test wants: pairs of errors and confidence, validation by validation."""

    real = epochs.validate

    def judge(*verdicts: tuple[int, float]) -> None:
        given = iter(verdicts)

        def validate(*arguments: Any) -> Evaluation:  # Any: passed on
            answered = real(*arguments)
            errors, confidence = next(given)
            rest = (1 - confidence) / 2
            said = np.full_like(answered.probabilities, rest)
            wrong = np.arange(len(said)) < errors
            said[np.arange(len(said)), (answered.targets + wrong) % 3] = confidence
            return replace(answered, probabilities=said)

        monkeypatch.setattr(epochs, "validate", validate)
        monkeypatch.setattr("worker.engine.stage.run.validate", validate)

    return judge


def content(order: TrainingOrder) -> dict[str, Json]:
    read: dict[str, Any] = json.loads((order.output_folder / "stage-0" / "checkpoint.json").read_bytes())
    return read


def points(listener: Listener) -> tuple[StatePoint, ...]:
    return tuple(
        StatePoint(event.stage, event.epoch, event.step, event.file, event.sha256)
        for event in reversed(listener.of(StateSaved)[-2:])
    )


@pytest.mark.usefixtures("tiny")
def test_asked_to_finish_it_ends_after_the_epoch_and_leaves_out_the_stages_after(
    tmp_path: Path, weights_folder: Path
) -> None:
    stop = FinishAt(StepFinished)
    listener = Listener(stop)
    order = order_in(tmp_path, weights_folder, tiny_config(unfrozen(3), unfrozen(2)))

    result = train(order, on_event=listener, stop=stop)

    assert [event.epoch for event in listener.of(EpochFinished)] == [0]
    assert listener.of(StageCutShort) == [StageCutShort(0, 0, "Ended after epoch 1 of 3, as requested")]
    assert [(event.stage, event.epoch) for event in listener.of(StageFinished)] == [(0, 0)]
    assert [stage.stage for stage in result.stages] == [0]
    assert content(order)["epoch"] == 0


@pytest.mark.usefixtures("tiny")
def test_asked_to_finish_in_the_last_epoch_only_the_later_stages_are_left_out(
    tmp_path: Path, weights_folder: Path
) -> None:
    stop = FinishAt(EpochFinished)
    listener = Listener(stop)
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(1), unfrozen(2)))

    result = train(order, on_event=listener, stop=stop)

    assert listener.of(StageCutShort) == []
    assert [stage.stage for stage in result.stages] == [0]


@pytest.mark.usefixtures("tiny")
def test_it_ends_early_after_epochs_that_were_no_better(
    tmp_path: Path, weights_folder: Path, judged: Callable[..., None]
) -> None:
    judged((3, 0.8), (1, 0.8), (1, 0.8), (2, 0.9), (0, 0.9))
    listener = Listener()
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(5, early_stopping=2), unfrozen(1)))

    result = train(order, on_event=listener)

    assert [event.epoch for event in listener.of(EpochFinished) if event.stage == 0] == [0, 1, 2, 3]
    assert listener.of(StageCutShort) == [
        StageCutShort(0, 3, "Ended early: 2 epochs in a row were no better than epoch 2")
    ]
    assert [stage.stage for stage in result.stages] == [0, 1]
    # Ending early is not keeping the best: the last epoch is what the stage ends with.
    assert content(order)["epoch"] == 3


@pytest.mark.usefixtures("tiny")
def test_it_keeps_the_best_epoch_with_its_weights_number_and_answers(
    tmp_path: Path, weights_folder: Path, judged: Callable[..., None]
) -> None:
    best, whole = (
        order_in(tmp_path / name, weights_folder, tiny_config(frozen(4, keep_best=keep)))
        for name, keep in (("best", True), ("whole", False))
    )
    until = FinishAt(EpochFinished)
    train(whole, on_event=Listener(lambda event: until(event) if third(event) else None), stop=until)
    judged((3, 0.8), (1, 0.6), (1, 0.7), (2, 0.9))
    listener = Listener()

    train(best, on_event=listener)

    weights = "stage-0/weights.safetensors"
    (finished,) = listener.of(StageFinished)
    assert (best.output_folder / weights).read_bytes() == (whole.output_folder / weights).read_bytes()
    assert (finished.epoch, content(best)["epoch"]) == (2, 2)
    assert finished.error_rate == pytest.approx(1 / 6)
    assert read_predictions(best.output_folder / "stage-0").errors == 1


def third(event: Event) -> bool:
    return isinstance(event, EpochFinished) and event.epoch == 2


def kill_after(epoch: int) -> Callable[[Event], None]:
    def at(event: Event) -> None:
        if isinstance(event, StateSaved) and (event.epoch, event.step) == (epoch + 1, 0):
            raise Killed

    return at


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_resumed_stage_still_keeps_the_best(
    epoch: int, tmp_path: Path, weights_folder: Path, judged: Callable[..., None]
) -> None:
    verdicts = ((3, 0.8), (1, 0.6), (2, 0.7), (2, 0.9))
    config = tiny_config(frozen(4, keep_best=True))
    whole, broken = (order_in(tmp_path / name, weights_folder, config) for name in ("whole", "broken"))
    judged(*verdicts)
    train(whole, on_event=Listener())
    first = Listener(kill_after(epoch))
    judged(*verdicts)
    with pytest.raises(Killed):
        train(broken, on_event=first)
    # After the last epoch the best one is judged anew, as its answers aren't kept.
    judged(*verdicts[epoch + 1 :], (1, 0.6))

    train(replace(broken, resume_from=points(first)), on_event=Listener())

    for name in ("weights.safetensors", "predictions.safetensors"):
        kept = (broken.output_folder / "stage-0" / name).read_bytes()
        assert kept == (whole.output_folder / "stage-0" / name).read_bytes()
    assert content(broken)["epoch"] == 1


@pytest.mark.usefixtures("tiny")
def test_a_flipped_byte_in_the_best_weights_is_noticed_and_the_best_before_is_taken(
    tmp_path: Path, weights_folder: Path, judged: Callable[..., None]
) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(4, keep_best=True)))
    judged((3, 0.8), (2, 0.6), (1, 0.7), (3, 0.9), (2, 0.6))

    def flip(event: Event) -> None:
        if isinstance(event, StateSaved) and event.epoch == 4:
            (file,) = order.state_folder.glob("best-0-2-*")
            damaged = bytearray(file.read_bytes())
            damaged[-1] ^= 1
            file.write_bytes(damaged)

    listener = Listener(flip)

    train(order, on_event=listener)

    assert [event.text for event in listener.of(Note) if event.topic == "resume"] == [
        "The saved weights of epoch 3 are damaged; using the best epoch before it"
    ]
    assert [event.epoch for event in listener.of(StageFinished)] == [1]


@pytest.mark.usefixtures("tiny")
def test_the_next_stage_begins_with_the_best_weights(
    tmp_path: Path, weights_folder: Path, judged: Callable[..., None]
) -> None:
    config = tiny_config(frozen(3, keep_best=True), frozen(1, max_lr=1e-9))
    order = order_in(tmp_path, weights_folder, config)
    judged((1, 0.8), (2, 0.8), (3, 0.8), (1, 0.8))

    train(order, on_event=Listener())

    first, second = (
        safetensors.torch.load_file(order.output_folder / f"stage-{stage}" / "weights.safetensors") for stage in (0, 1)
    )
    assert np.allclose(first["head.6.weight"], second["head.6.weight"], atol=1e-6)


@pytest.mark.usefixtures("tiny")
def test_the_last_two_states_and_the_best_weights_they_know_are_kept(
    tmp_path: Path, weights_folder: Path, judged: Callable[..., None]
) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(6, keep_best=True)))
    judged((6, 0.8), (5, 0.8), (4, 0.8), (3, 0.8), (2, 0.8), (3, 0.8))

    train(order, on_event=Listener())

    states = sorted(file.name[:9] for file in order.state_folder.glob("state-*"))
    bests = sorted(file.name[:8] for file in order.state_folder.glob("best-*"))
    assert states == ["state-0-5", "state-0-6"]
    assert bests == ["best-0-2", "best-0-3", "best-0-4"]


class FinishFromTheStart(FinishAt):
    """Asked before it began."""

    def finish_requested(self) -> bool:
        """Always."""
        return True


@pytest.mark.usefixtures("tiny")
def test_a_killed_stage_that_was_to_finish_trains_no_epoch_more(tmp_path: Path, weights_folder: Path) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(3), unfrozen(1)))
    first, second = Listener(kill_after(1)), Listener()
    with pytest.raises(Killed):
        train(order, on_event=first)

    train(replace(order, resume_from=points(first)), on_event=second, stop=FinishFromTheStart(StageStarted))

    assert second.of(EpochFinished) == []
    assert [(event.stage, event.epoch) for event in second.of(StageFinished)] == [(0, 1)]


@pytest.mark.parametrize(
    ("this", "other", "is_better"),
    [
        (Best(1, 0.1, 0.9), Best(0, 0.2, 0.5), True),
        (Best(1, 0.2, 0.4), Best(0, 0.2, 0.5), True),
        (Best(1, 0.2, 0.5), Best(0, 0.2, 0.5), False),
        (Best(1, 0.3, 0.1), Best(0, 0.2, 0.5), False),
    ],
)
def test_fewer_errors_are_better_and_of_equals_the_lower_loss(this: Best, other: Best, is_better: bool) -> None:
    assert this.is_better_than(other) is is_better


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(("is_frozen", "threads"), [(True, {1}), (False, {2})])
def test_a_head_alone_learns_on_half_of_the_processors(
    is_frozen: bool, threads: set[int], tmp_path: Path, weights_folder: Path
) -> None:
    seen: set[int] = set()

    def note(event: Event) -> None:
        if isinstance(event, StepFinished):
            seen.add(torch.get_num_threads())

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        stage = frozen(1) if is_frozen else unfrozen(1)
        train(order_in(tmp_path, weights_folder, tiny_config(stage, batch_size=4)), on_event=note)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)

    assert seen == threads
