"""What is saved during a training, and what follows from it after a kill."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import pytest

from backend.domain.events import (
    EpochFinished,
    Event,
    Note,
    PhaseStarted,
    StageFinished,
    StageStarted,
    StateSaved,
    StepFinished,
)
from backend.domain.training import TrainingConfig
from tests.fixtures.engine import (
    Killed,
    Listener,
    frozen,
    order_in,
    tiny_config,
    unfrozen,
)
from worker.engine.order import StatePoint, TrainingOrder
from worker.engine.recipe import train


def kill_after(stage: int, epoch: int) -> Callable[[Event], None]:
    """Ends the process right after the state of an epoch was saved."""

    def at(event: Event) -> None:
        if isinstance(event, StateSaved) and (event.stage, event.epoch, event.step) == (stage, epoch + 1, 0):
            raise Killed

    return at


def saved_points(listener: Listener) -> tuple[StatePoint, ...]:
    """The states that the listener received, newest first."""
    saved = listener.of(StateSaved)
    return tuple(
        StatePoint(event.stage, event.epoch, event.step, event.file, event.sha256) for event in reversed(saved)
    )


def killed_and_resumed(order: TrainingOrder, at: Callable[[Event], None]) -> Listener:
    first, second = Listener(at), Listener()
    with pytest.raises(Killed):
        train(order, on_event=first)
    train(replace(order, resume_from=saved_points(first)), on_event=second)
    return second


def outcome(order: TrainingOrder, stage: int) -> tuple[bytes, bytes, bytes]:
    folder = order.output_folder / f"stage-{stage}"
    return tuple(
        (folder / name).read_bytes() for name in ("weights.safetensors", "predictions.safetensors", "model.onnx")
    )  # type: ignore[return-value]  # three names


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    "config_of",
    [
        lambda: tiny_config(frozen(3)),
        lambda: tiny_config(frozen(3, train_batch_norm=True)),
        lambda: tiny_config(unfrozen(3)),
        lambda: tiny_config(unfrozen(3, train_batch_norm=True)),
    ],
    ids=["frozen", "frozen-batch-norm", "unfrozen", "unfrozen-batch-norm"],
)
@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_a_training_killed_at_an_epoch_and_resumed_equals_one_never_killed(
    config_of: Callable[[], TrainingConfig], epoch: int, tmp_path: Path, weights_folder: Path
) -> None:
    whole = order_in(tmp_path / "whole", weights_folder, config_of())
    broken = order_in(tmp_path / "broken", weights_folder, config_of())

    train(whole, on_event=Listener())
    killed_and_resumed(broken, kill_after(0, epoch))

    assert outcome(broken, 0) == outcome(whole, 0)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("place", [(0, 1), (1, 0), (1, 1)])
def test_resuming_across_stages_changes_nothing(place: tuple[int, int], tmp_path: Path, weights_folder: Path) -> None:
    config = tiny_config(frozen(2), unfrozen(2, max_lr=(1e-4, 1e-3)))
    whole = order_in(tmp_path / "whole", weights_folder, config)
    broken = order_in(tmp_path / "broken", weights_folder, config)

    listener = Listener()
    train(whole, on_event=listener)
    resumed = killed_and_resumed(broken, kill_after(*place))

    assert outcome(broken, 0) == outcome(whole, 0)
    assert outcome(broken, 1) == outcome(whole, 1)
    assert [replace(event, duration_s=0) for event in resumed.of(EpochFinished)] == [
        replace(event, duration_s=0) for event in listener.of(EpochFinished) if (event.stage, event.epoch) > place
    ]


@pytest.mark.usefixtures("tiny")
def test_a_finished_stage_is_exported_again_without_training_again(tmp_path: Path, weights_folder: Path) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(2)))

    resumed = killed_and_resumed(order, kill_after(0, 1))

    assert resumed.of(StepFinished) == []
    assert resumed.of(EpochFinished) == []
    assert [event.stage for event in resumed.of(StageFinished)] == [0]


@pytest.mark.usefixtures("tiny")
def test_a_resumed_training_shows_at_which_epoch_it_continues(tmp_path: Path, weights_folder: Path) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(3)))

    resumed = killed_and_resumed(order, kill_after(0, 1))

    assert [event.first_epoch for event in resumed.of(StageStarted)] == [2]
    assert "weights" not in [event.phase for event in resumed.of(PhaseStarted)]


@pytest.mark.usefixtures("tiny")
def test_a_damaged_state_is_passed_over_for_the_one_before(tmp_path: Path, weights_folder: Path) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(3)))
    first, second = Listener(kill_after(0, 1)), Listener()
    with pytest.raises(Killed):
        train(order, on_event=first)
    newest, before = saved_points(first)
    (order.state_folder / newest.file).write_bytes(b"half of it")

    train(replace(order, resume_from=(newest, before)), on_event=second)

    assert [event.first_epoch for event in second.of(StageStarted)] == [1]
    assert second.of(Note)[0].topic == "resume"
    assert "damaged" in second.of(Note)[0].text


@pytest.mark.usefixtures("tiny")
def test_states_of_other_settings_are_not_resumed_from(tmp_path: Path, weights_folder: Path) -> None:
    listener = Listener()
    train(order_in(tmp_path, weights_folder, tiny_config(frozen(2))), on_event=listener)
    other = order_in(tmp_path, weights_folder, tiny_config(frozen(2), seed=5), resume_from=saved_points(listener))
    second = Listener()

    train(other, on_event=second)

    assert [event.first_epoch for event in second.of(StageStarted)] == [0]


@pytest.mark.usefixtures("tiny")
def test_the_last_two_states_are_kept_and_the_backbone_that_they_name(tmp_path: Path, weights_folder: Path) -> None:
    listener = Listener()
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(4)))

    train(order, on_event=listener)

    kept = {file.name for file in order.state_folder.glob("state-*")}
    assert kept == {point.file for point in saved_points(listener)[:2]}
    assert [file.name[:9] for file in order.state_folder.iterdir() if file.name not in kept] == ["backbone-"]


@pytest.mark.usefixtures("tiny")
def test_a_good_checkpoint_from_before_an_interruption_is_left_alone(tmp_path: Path, weights_folder: Path) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(1)))
    listener = Listener()
    train(order, on_event=listener)
    made = (order.output_folder / "stage-0" / "checkpoint.json").stat().st_ino
    second = Listener()

    train(replace(order, resume_from=saved_points(listener)), on_event=second)

    assert (order.output_folder / "stage-0" / "checkpoint.json").stat().st_ino == made
    assert second.of(StageFinished) == listener.of(StageFinished)


@pytest.mark.usefixtures("tiny")
def test_a_first_stage_whose_folder_is_elsewhere_is_no_part_of_the_result(tmp_path: Path, weights_folder: Path) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(1), unfrozen(1)))
    first = Listener(kill_after(1, 0))
    with pytest.raises(Killed):
        train(order, on_event=first)
    rmtree(order.output_folder)

    result = train(replace(order, resume_from=saved_points(first)), on_event=Listener())

    assert [stage.stage for stage in result.stages] == [1]
