"""Pausing and going on at a step."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.domain.events import EpochFinished, ImageSkipped, Note, RolledBack, StateSaved, StepFinished
from backend.domain.training import ClassBalance, TrainingConfig
from tests.fixtures.engine import Listener, frozen, order_in, shapes, tiny_config, unfrozen
from tests.fixtures.faults import poisoned
from worker.engine.order import StatePoint, Stopped, TrainingOrder
from worker.engine.recipe import train

CONFIGS: dict[str, Callable[[], TrainingConfig]] = {
    "frozen": lambda: tiny_config(frozen(2), batch_size=4),
    "frozen-batch-norm": lambda: tiny_config(frozen(2, train_batch_norm=True), batch_size=4),
    "unfrozen": lambda: tiny_config(unfrozen(2), batch_size=4),
    "unfrozen-batch-norm": lambda: tiny_config(unfrozen(2, train_batch_norm=True), batch_size=4),
    "above-frozen-blocks": lambda: tiny_config(unfrozen(2, frozen_blocks=1), batch_size=4),
    "balanced": lambda: tiny_config(unfrozen(2), batch_size=4, class_balance=ClassBalance.BALANCED_SAMPLING),
    "two-stages": lambda: tiny_config(frozen(1), unfrozen(2, max_lr=(1e-4, 1e-3)), batch_size=4),
}


class StopAtLook:
    """A stop signal that is given when the engine looks at it for the n-th time."""

    def __init__(self, number: int) -> None:
        self.left = number

    def requested(self) -> bool:
        """From the n-th look on."""
        self.left -= 1
        return self.left <= 0

    def finish_requested(self) -> bool:
        """Never."""
        return False


class StopInStep:
    """A stop signal that is given while a step of an epoch is in flight; the random numbers tell which."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stage: int, epoch: int, step: int) -> None:
        self.given = False
        from worker.engine.loop import train as loop

        real = loop.seed_of

        def seed_of(seed: int, *at: int) -> int:
            self.given = self.given or at == (stage, epoch, step)
            return real(seed, *at)

        monkeypatch.setattr(loop, "seed_of", seed_of)

    def requested(self) -> bool:
        """Once it was given."""
        return self.given

    def finish_requested(self) -> bool:
        """Never."""
        return False


def points_of(*listeners: Listener) -> tuple[StatePoint, ...]:
    """The states that were reported, newest first; of several at the same place the last one."""
    points: dict[tuple[int, int, int], StatePoint] = {}
    for listener in listeners:
        for event in listener.of(StateSaved):
            points[event.stage, event.epoch, event.step] = StatePoint(
                event.stage, event.epoch, event.step, event.file, event.sha256
            )
    return tuple(points[place] for place in sorted(points, reverse=True))[:2]


def in_pieces(order: TrainingOrder, looks: Callable[[], int]) -> list[Listener]:
    """Stop after so many looks, go on, stop again, to the end."""
    listeners: list[Listener] = []
    while True:
        listeners.append(Listener())
        points = points_of(*listeners)
        try:
            train(replace(order, resume_from=points), on_event=listeners[-1], stop=StopAtLook(looks()))
        except Stopped:
            continue
        return listeners


def weights(order: TrainingOrder, stage: int = 0) -> bytes:
    return (order.output_folder / f"stage-{stage}" / "weights.safetensors").read_bytes()


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", CONFIGS)
def test_paused_at_random_steps_again_and_again_equals_never_paused(
    name: str, tmp_path: Path, weights_folder: Path
) -> None:
    whole, broken = (order_in(tmp_path / kind, weights_folder, CONFIGS[name]()) for kind in ("whole", "broken"))
    random = np.random.default_rng(11)

    never_paused = Listener()
    train(whole, on_event=never_paused)
    listeners = in_pieces(broken, lambda: int(random.integers(5, 25)))

    last = len(whole.config.stages) - 1
    assert len(listeners) > 2
    assert weights(broken, last) == weights(whole, last)
    assert epochs_of(*listeners) == epochs_of(never_paused)


def epochs_of(*listeners: Listener) -> list[EpochFinished]:
    """The course's table, without its times."""
    return [replace(event, duration_s=0) for listener in listeners for event in listener.of(EpochFinished)]


@pytest.mark.usefixtures("tiny")
def test_a_stop_saves_after_the_step_in_flight(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(unfrozen(3), batch_size=4))
    listener = Listener()

    with pytest.raises(Stopped):
        train(order, on_event=listener, stop=StopInStep(monkeypatch, 0, 1, 2))

    assert [(event.epoch, event.step) for event in listener.of(StateSaved)] == [(1, 0), (1, 3)]
    # 18 images in batches of 4: five steps an epoch, and three of the second.
    assert sum(len(event.losses) for event in listener.of(StepFinished)) == 8


@pytest.mark.usefixtures("tiny")
def test_a_resumed_epoch_repeats_no_step(tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(unfrozen(1), batch_size=4))
    first, second = Listener(), Listener()
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        train(order, on_event=first, stop=StopInStep(patch, 0, 0, 1))

    train(replace(order, resume_from=points_of(first)), on_event=second)

    assert sum(len(event.losses) for event in first.of(StepFinished)) == 2
    assert sum(len(event.losses) for event in second.of(StepFinished)) == 3
    assert second.of(StepFinished)[-1].step == 5


@pytest.mark.usefixtures("tiny")
def test_the_time_of_an_epoch_is_the_sum_of_its_parts(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(unfrozen(1), batch_size=4))
    first, second = Listener(), Listener()
    clock = Clock()
    monkeypatch.setattr("worker.engine.loop.epoch.time.monotonic", clock)
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        train(order, on_event=first, stop=Late(StopInStep(patch, 0, 0, 1), clock))

    clock.now = 5_000.0
    train(replace(order, resume_from=points_of(first)), on_event=second)

    assert second.of(EpochFinished)[0].duration_s == pytest.approx(100.0)


class Clock:
    """A clock that shows one time until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Late:
    """A stop signal after which 100 seconds have gone by."""

    def __init__(self, stop: StopInStep, clock: Clock) -> None:
        self.stop, self.clock = stop, clock

    def requested(self) -> bool:
        """As the stop, later."""
        if self.stop.requested():
            self.clock.now = 100.0
        return self.stop.requested()

    def finish_requested(self) -> bool:
        """Never."""
        return False


@pytest.mark.usefixtures("tiny")
def test_a_stop_while_validating_keeps_all_steps_and_validates_again(tmp_path: Path, weights_folder: Path) -> None:
    whole, broken = (order_in(tmp_path / kind, weights_folder, CONFIGS["unfrozen"]()) for kind in ("whole", "broken"))
    first, second = Listener(), Listener()
    train(whole, on_event=Listener())
    with pytest.raises(Stopped):
        train(broken, on_event=first, stop=StopWhileValidating())

    train(replace(broken, resume_from=points_of(first)), on_event=second)

    assert [(event.epoch, event.step) for event in first.of(StateSaved)] == [(0, 5)]
    assert [event.epoch for event in second.of(EpochFinished)] == [0, 1]
    assert second.of(StepFinished)[0].epoch == 1
    assert weights(broken) == weights(whole)


class StopWhileValidating:
    """A stop signal that is given to whoever asks from within a validation."""

    def requested(self) -> bool:
        """Whether a validation is going on."""
        import sys

        frame = sys._getframe()
        while frame := frame.f_back:  # type: ignore[assignment] # ends at None
            if frame.f_code.co_name == "validate":
                return True
        return False

    def finish_requested(self) -> bool:
        """Never."""
        return False


@pytest.mark.usefixtures("tiny")
def test_long_epochs_are_saved_on_the_way(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.engine.loop.train.SAVE_EVERY_S", -1.0)
    listener = Listener()
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(1), batch_size=4))

    train(order, on_event=listener)

    places = [(event.epoch, event.step) for event in listener.of(StateSaved)]
    assert places == [(0, 1), (0, 2), (0, 3), (0, 4), (0, 5), (1, 0)]
    assert len(list(order.state_folder.glob("state-*"))) == 2


@pytest.mark.usefixtures("tiny")
def test_another_number_of_loader_processes_continues_alike(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = (order_in(tmp_path / kind, weights_folder, CONFIGS["unfrozen"]()) for kind in ("whole", "broken"))
    train(whole, on_event=Listener())
    first = Listener()
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        train(broken, on_event=first, stop=StopInStep(patch, 0, 0, 2))
    monkeypatch.setattr("worker.engine.data.batches.loader_processes", lambda images, epochs, most=4: 2)

    train(replace(broken, resume_from=points_of(first)), on_event=Listener())

    assert weights(broken) == weights(whole)


@pytest.mark.usefixtures("tiny")
def test_an_image_that_went_bad_during_a_pause_is_skipped_and_the_others_keep_their_order(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, opened = shapes()
    bad, worse = (image for image in manifest.images if image.path in ("circle/0.png", "cross/1.png"))
    del opened.files[bad.digest]
    content = (manifest, opened)
    order = order_in(tmp_path, weights_folder, tiny_config(unfrozen(1), batch_size=4, seed=3), content)
    monkeypatch.setattr("worker.engine.data.prepared.UNREADABLE_SHARE", 0.2)
    first, second = Listener(), Listener()
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        train(order, on_event=first, stop=StopInStep(patch, 0, 0, 1))
    del opened.files[worse.digest]

    train(replace(order, resume_from=points_of(first)), on_event=second)

    assert {event.path for event in second.of(ImageSkipped)} == {"circle/0.png", "cross/1.png"}
    # 17 images were readable at the beginning: five batches, of which the last has a single image and is none.
    assert second.of(StepFinished)[-1].steps == 4


@pytest.mark.usefixtures("tiny")
def test_a_state_of_another_version_is_passed_over_in_words(tmp_path: Path, weights_folder: Path) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(1)))
    first, second = Listener(), Listener()
    train(order, on_event=first)
    (old, *_) = points_of(first)
    file = order.state_folder / old.file
    file.write_bytes(content := as_version(file.read_bytes(), 1))
    from worker.engine.checkpoints.durable import sha256

    train(replace(order, resume_from=(replace(old, sha256=sha256(content)),)), on_event=second)

    texts = [event.text for event in second.of(Note) if event.topic == "resume"]
    assert texts == [
        "The saved state after epoch 1 of stage 1 can't be used (it was made by another version); "
        "starting from the beginning"
    ]


def as_version(content: bytes, version: int) -> bytes:
    """The state file as another version would have marked it."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    state = json.loads(header["__metadata__"]["state"]) | {"format": version}
    header["__metadata__"]["state"] = json.dumps(state)
    changed = json.dumps(header).encode()
    changed += b" " * (-len(changed) % 8)
    return len(changed).to_bytes(8, "little") + changed + content[8 + length :]


def flip(file: Path) -> None:
    """Change one byte in the middle."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.usefixtures("tiny")
def test_damaged_states_are_forgotten_by_whoever_went_back_behind_them(tmp_path: Path, weights_folder: Path) -> None:
    """Else a divergence would look for its way back among them."""
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(2), batch_size=4))
    first, second = Listener(), Listener()
    train(order, on_event=first)
    points = points_of(first)
    for point in points:
        flip(order.state_folder / point.file)
    with pytest.MonkeyPatch.context() as patch:
        poisoned(patch, lambda step: step == 1)
        train(replace(order, resume_from=points), on_event=second)

    assert [event.factor for event in second.of(RolledBack)] == [0.5]
    assert [event.epoch for event in second.of(EpochFinished)] == [0, 1]


@pytest.mark.usefixtures("tiny")
def test_a_flipped_byte_in_the_state_of_a_step_is_noticed_and_the_one_before_is_used(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = (order_in(tmp_path / kind, weights_folder, CONFIGS["unfrozen"]()) for kind in ("whole", "broken"))
    train(whole, on_event=Listener())
    first, second = Listener(), Listener()
    with monkeypatch.context() as patch, pytest.raises(Stopped):
        train(broken, on_event=first, stop=StopInStep(patch, 0, 1, 2))
    points = points_of(first)
    flip(broken.state_folder / points[0].file)

    train(replace(broken, resume_from=points), on_event=second)

    assert [(point.epoch, point.step) for point in points] == [(1, 3), (1, 0)]
    assert [event.text for event in second.of(Note) if event.topic == "resume"] == [
        "The saved state at step 3 of epoch 2 of stage 1 can't be used (it is damaged); using the one before it"
    ]
    assert weights(broken) == weights(whole)


@pytest.mark.usefixtures("tiny")
def test_epochs_that_take_less_than_saving_are_saved_together(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.engine.loop.saving.SHARE", 0.0)
    listener = Listener()

    train(order_in(tmp_path, weights_folder, tiny_config(frozen(4), batch_size=4)), on_event=listener)

    assert [event.epoch for event in listener.of(EpochFinished)] == [0, 1, 2, 3]
    assert [(event.epoch, event.step) for event in listener.of(StateSaved)] == [(4, 0)]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("step", [0, 3])
def test_a_stop_after_an_unsaved_epoch_saves_it(
    step: int, tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.engine.loop.saving.SHARE", 0.0)
    whole, broken = (
        order_in(tmp_path / kind, weights_folder, tiny_config(frozen(4), batch_size=4)) for kind in ("whole", "broken")
    )
    train(whole, on_event=Listener())
    first, then = Listener(), Listener()

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        train(broken, on_event=first, stop=StopInStep(patch, 0, 2, step))
    train(replace(broken, resume_from=points_of(first)), on_event=then)

    assert [(event.epoch, event.step) for event in first.of(StateSaved)] == [(2, step + 1)]
    assert [event.epoch for event in then.of(EpochFinished)] == [2, 3]
    assert weights(broken) == weights(whole)
