"""Saving a state while the machine fails at each point of it."""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch

from backend.domain.events import EpochFinished, Event, Note, StageFinished, StateSaved
from tests.fixtures.engine import Killed, Listener, frozen, order_in, tiny_config, unfrozen
from worker.engine.checkpoints import durable
from worker.engine.errors import DiskFull
from worker.engine.order import StatePoint, TrainingOrder
from worker.engine.recipe import train

CALLS = ("mkstemp", "fdopen", "fsync", "read_bytes", "replace", "unlink", "open", "close")
"""What writing a file asks of the system, in ``durable``."""


LAST = 11
"""One more than a save asks for."""


class Machine:
    """Counts what is asked of the system while it listens, and fails at one of the calls."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails_at: int, error: BaseException, *, stays_dead: bool):
        self.fails_at, self.error, self.stays_dead = fails_at, error, stays_dead
        self.asked, self.listens = 0, False
        owners = {"mkstemp": tempfile, "fdopen": os, "fsync": os, "open": os, "close": os}
        for name in CALLS:
            owner: Any = owners.get(name, Path)
            monkeypatch.setattr(owner, name, self._failing(getattr(owner, name)))

    def _failing(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **given: Any) -> Any:
            if self.listens:
                self.asked += 1
                if self.asked == self.fails_at or (self.stays_dead and self.asked > self.fails_at):
                    raise self.error
            return real(*arguments, **given)

        return call


def failing_save(machine: Machine, order: TrainingOrder, listener: Listener, *, epoch_number: int = 1) -> None:
    """Let the machine fail within what follows an epoch's validation, up to the listener's answer."""
    from worker.engine.loop import epoch

    real = epoch.save_state

    def save_state(training: Any, run: Any, finished: EpochFinished | None = None) -> None:
        machine.listens = finished is not None and finished.epoch == epoch_number
        real(training, run, finished)
        machine.listens = False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(epoch, "save_state", save_state)
        try:
            train(order, on_event=listener)
        finally:
            machine.listens = False


def points(listener: Listener) -> tuple[StatePoint, ...]:
    return tuple(
        StatePoint(event.stage, event.epoch, event.step, event.file, event.sha256)
        for event in reversed(listener.of(StateSaved)[-2:])
    )


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("fails_at", range(1, LAST + 1))
def test_a_kill_at_each_point_of_a_save_leaves_the_old_state_or_the_new_one(
    fails_at: int, tmp_path: Path, weights_folder: Path
) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(2)))
    first, second = Listener(), Listener()
    with pytest.MonkeyPatch.context() as patch:
        machine = Machine(patch, fails_at, Killed(), stays_dead=True)
        try:
            failing_save(machine, order, first)
        except Killed:
            pass
        else:
            assert fails_at == LAST, "the test walks through all calls of a save"

    train(replace(order, resume_from=points(first)), on_event=second)

    known = {point.epoch for point in points(first)}
    assert known in ({1}, {1, 2})
    assert [event.epoch for event in second.of(EpochFinished)] == ([] if 2 in known else [1])
    assert list(order.state_folder.glob(".*.partial")) == []


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("fails_at", range(1, 2 * LAST))
def test_a_kill_at_each_point_of_the_first_save_leaves_none_or_a_whole_one(
    fails_at: int, tmp_path: Path, weights_folder: Path
) -> None:
    # The first save writes two files: the frozen backbone, and the state that names it.
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(1)))
    first, second = Listener(), Listener()
    with pytest.MonkeyPatch.context() as patch:
        machine = Machine(patch, fails_at, Killed(), stays_dead=True)
        try:
            failing_save(machine, order, first, epoch_number=0)
        except Killed:
            pass
        else:
            assert fails_at == 2 * LAST - 1, "the test walks through all calls of a save"

    train(replace(order, resume_from=points(first)), on_event=second)

    assert [event.epoch for event in second.of(EpochFinished)] == ([] if points(first) else [0])
    assert [event.text for event in second.of(Note) if event.topic == "resume"] == []
    assert len(second.of(StageFinished)) == 1


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("fails_at", [1, 3])
def test_a_full_disk_spoils_nothing_and_shows_what_it_takes(
    fails_at: int, number: int, tmp_path: Path, weights_folder: Path
) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(2)))
    first, second = Listener(), Listener()
    with pytest.MonkeyPatch.context() as patch:
        machine = Machine(patch, fails_at, OSError(number, "full"), stays_dead=False)
        patch.setattr(durable, "_free_bytes", lambda folder: 12_000_000)
        with pytest.raises(DiskFull) as refusal:
            failing_save(machine, order, first)

    train(replace(order, resume_from=points(first)), on_event=second)

    (saved,) = first.of(StateSaved)
    assert (refusal.value.code, refusal.value.details["free_bytes"]) == ("disk-full", 12_000_000)
    assert refusal.value.needed_bytes == pytest.approx(saved.size_bytes, rel=0.01)
    assert [event.epoch for event in second.of(EpochFinished)] == [1]
    assert len(second.of(StageFinished)) == 1


def test_a_full_disk_is_asked_in_megabytes() -> None:
    full = DiskFull(320_000_000, 12_000_000)

    assert full.message == "The disk is full: saving needs about 320 MB and 12 MB are free."
    assert full.details == {"needed_bytes": 320_000_000, "free_bytes": 12_000_000}


@pytest.mark.usefixtures("tiny")
def test_a_disk_that_is_full_when_the_checkpoint_is_written_needs_room_for_all_of_it(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(1)))
    real = tempfile.mkstemp

    def mkstemp(*arguments: Any, **given: Any) -> Any:
        if str(given["prefix"]).startswith(".parity"):
            raise OSError(errno.ENOSPC, "full")
        return real(*arguments, **given)

    first, second = Listener(), Listener()
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "mkstemp", mkstemp)
        with pytest.raises(DiskFull) as refusal:
            train(order, on_event=first)

    train(replace(order, resume_from=points(first)), on_event=second)

    folder = order.output_folder / "stage-0"
    sizes = [(folder / name).stat().st_size for name in ("weights.safetensors", "model.onnx")]
    assert refusal.value.needed_bytes >= sum(sizes)
    assert second.of(EpochFinished) == []


@pytest.mark.usefixtures("tiny")
def test_a_disk_that_is_full_when_pixels_are_cached_is_asked_alike(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from worker.engine.data.source import ImageSource

    def fill_cache(*_: object) -> Any:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(ImageSource, "fill_cache", fill_cache)

    with pytest.raises(DiskFull):
        train(order_in(tmp_path, weights_folder, tiny_config(frozen(1))), on_event=Listener())


def test_another_error_of_the_disk_is_left_as_it_is(tmp_path: Path) -> None:
    def broken() -> None:
        with durable.disk_full_named(tmp_path, 10):
            raise OSError(errno.EIO, "broken")

    with pytest.raises(OSError, match="broken") as error:
        broken()
    assert error.value.errno == errno.EIO


def test_what_is_free_is_asked_of_the_nearest_folder_there_is(tmp_path: Path) -> None:
    def full() -> None:
        with durable.disk_full_named(tmp_path / "not" / "yet", 10):
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(DiskFull) as refusal:
        full()
    assert refusal.value.free_bytes > 0


def listener_that_is_killed(epoch: int) -> Listener:
    def at(event: object) -> None:
        if isinstance(event, StateSaved) and event.epoch == epoch:
            raise Killed

    return Listener(at)


@pytest.mark.usefixtures("tiny")
def test_older_states_go_only_once_the_listener_knows_the_new_one(tmp_path: Path, weights_folder: Path) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(4)))

    with pytest.raises(Killed):
        train(order, on_event=listener_that_is_killed(3))

    assert sorted(file.name[:9] for file in order.state_folder.glob("state-*")) == [
        "state-0-1",
        "state-0-2",
        "state-0-3",
    ]


@pytest.mark.usefixtures("tiny")
def test_a_frozen_backbone_is_written_once_and_states_name_it(tmp_path: Path, weights_folder: Path) -> None:
    order, listener = order_in(tmp_path, weights_folder, tiny_config(frozen(3), unfrozen(1))), Listener()

    with pytest.raises(Killed):
        train(order, on_event=listener_that_is_killed(3))
    (backbone,) = order.state_folder.glob("backbone-*")
    (written,) = {file.stat().st_mtime_ns for file in order.state_folder.glob("backbone-*")}
    states = [safetensors.torch.load_file(file) for file in order.state_folder.glob("state-*")]
    train(order, on_event=listener)

    assert len(states) == 3
    assert not any(name.startswith("model.backbone.") for state in states for name in state)
    assert all(name.startswith("model.backbone.") for name in safetensors.torch.load_file(backbone))
    assert written < order.state_folder.stat().st_mtime_ns
    # A stage in which it moves has it in its own states; the two that are kept are of both stages.
    last = sorted(order.state_folder.glob("state-*"))[-1]
    assert any(name.startswith("model.backbone.") for name in safetensors.torch.load_file(last))
    assert [file.name for file in order.state_folder.glob("backbone-*")] == [backbone.name]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("is_missing", [True, False])
def test_states_without_their_backbone_are_passed_over_in_words(
    is_missing: bool, tmp_path: Path, weights_folder: Path
) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(frozen(2)))
    first, second = Listener(), Listener()
    train(order, on_event=first)
    (backbone,) = order.state_folder.glob("backbone-*")
    if is_missing:
        backbone.unlink()
    else:
        content = bytearray(backbone.read_bytes())
        content[-1] ^= 1
        backbone.write_bytes(bytes(content))

    train(replace(order, resume_from=points(first)), on_event=second)

    where = "The saved state after epoch"
    wrong = "of stage 1 can't be used (its frozen layers are damaged); starting from the beginning"
    reported = [event.text for event in second.of(Note) if event.topic == "resume"]
    assert reported == [f"{where} 2 {wrong}", f"{where} 1 {wrong}"]
    assert [event.epoch for event in second.of(EpochFinished)] == [0, 1]


@pytest.mark.usefixtures("tiny")
def test_a_state_of_the_format_before_is_resumed_bit_for_bit(tmp_path: Path, weights_folder: Path) -> None:
    config = tiny_config(unfrozen(2))
    whole, listener = order_in(tmp_path / "whole", weights_folder, config), Listener()
    train(whole, on_event=Listener())
    order = order_in(tmp_path / "broken", weights_folder, config)

    def kill(event: Event) -> None:
        if isinstance(event, StateSaved):
            raise Killed

    listener = Listener(kill)
    with pytest.raises(Killed):
        train(order, on_event=listener)
    (point,) = points(listener)
    file = order.state_folder / point.file
    with safetensors.safe_open(file, framework="pt") as opened:
        rest = json.loads(opened.metadata()["state"])
    for name, former in {"cursor": "place", "eval_batch_size": "asked_at_once", "backoff": "brake"}.items():
        rest[former] = rest.pop(name)
    del rest["stages_before"]
    rest["format"] = 3
    tensors = safetensors.torch.load_file(file)
    file.write_bytes(safetensors.torch.save(tensors, metadata={"state": json.dumps(rest)}))
    former_point = replace(point, sha256=hashlib.sha256(file.read_bytes()).hexdigest())

    second = Listener()
    train(replace(order, resume_from=(former_point,)), on_event=second)

    assert [event.epoch for event in second.of(EpochFinished)] == [1]
    weights = "output/stage-0/weights.safetensors"
    assert (tmp_path / "broken" / weights).read_bytes() == (tmp_path / "whole" / weights).read_bytes()
