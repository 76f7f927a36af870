"""Two processes stop, finish and fail together, and what they have saved suits any number of processes."""

from dataclasses import replace
from pathlib import Path

import pytest

from backend.domain.events import EpochFinished, StageCutShort, StateSaved, StepFinished
from tests.fixtures.engine import Listener, frozen, order_in, tiny_config, unfrozen
from tests.worker.engine.parallel.pair import Pair, trained
from tests.worker.engine.test_resume import StopInStep, points_of
from worker.engine.data.batches import ImageBatches
from worker.engine.errors import TooManyUnreadable
from worker.engine.order import Stopped
from worker.engine.parallel.ranks import PeerLost
from worker.engine.recipe import train


class StopOfSecond:
    """A stop signal that only the second process has been given, after so many looks."""

    def __init__(self, rank: int, looks: int, *, to_finish: bool = False) -> None:
        self.left = looks if rank == 1 else 10**9
        self.to_finish = to_finish

    def requested(self) -> bool:
        self.left -= 1
        return self.left <= 0 and not self.to_finish

    def finish_requested(self) -> bool:
        return self.left <= 0 and self.to_finish


def stop_in_second_epoch(rank: int, patch: pytest.MonkeyPatch) -> StopOfSecond:
    return StopOfSecond(rank, 9)


def finish_in_first_epoch(rank: int, patch: pytest.MonkeyPatch) -> StopOfSecond:
    return StopOfSecond(rank, 3, to_finish=True)


def test_both_stop_at_one_step_and_one_process_continues_from_there(
    pair: Pair, tmp_path: Path, weights_folder: Path
) -> None:
    config = tiny_config(unfrozen(2), batch_size=4, precision="float32")
    whole, broken = (order_in(tmp_path / kind, weights_folder, config) for kind in ("whole", "broken"))
    alone, rest = Listener(), Listener()
    train(whole, on_event=alone)

    outcomes = pair.train(broken, stop_in_second_epoch)
    stopped = outcomes[0].listener()
    train(replace(broken, resume_from=points_of(stopped)), on_event=rest)

    assert [type(outcome.raised) for outcome in outcomes] == [Stopped, Stopped]
    *_, point = stopped.of(StateSaved)
    assert (point.epoch, 0 < point.step < 5) == (1, True)
    found = [loss for listener in (stopped, rest) for event in listener.of(StepFinished) for loss in event.losses]
    expected = [loss for event in alone.of(StepFinished) for loss in event.losses]
    assert found == pytest.approx(expected, abs=1e-4)
    assert [event.epoch for event in rest.of(EpochFinished)] == [1]


def test_what_one_process_has_saved_two_continue(pair: Pair, tmp_path: Path, weights_folder: Path) -> None:
    config = tiny_config(frozen(1), unfrozen(2, frozen_blocks=1), batch_size=4, precision="float32")
    whole, broken = (order_in(tmp_path / kind, weights_folder, config) for kind in ("whole", "broken"))
    alone, first = Listener(), Listener()
    train(whole, on_event=alone)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Stopped):
        train(broken, on_event=first, stop=StopInStep(patch, 1, 0, 2))

    rest = trained(pair.train(replace(broken, resume_from=points_of(first))))

    last = first.of(StateSaved)[-1]
    assert (last.stage, last.step > 0) == (1, True)
    expected = {(event.stage, event.epoch): event.valid_loss for event in alone.of(EpochFinished)}
    found = {(event.stage, event.epoch): event.valid_loss for event in rest.of(EpochFinished)}
    assert found == pytest.approx({at: expected[at] for at in found}, abs=1e-4)
    assert max(found) == (1, 1)


def test_both_finish_after_one_epoch(pair: Pair, tmp_path: Path, weights_folder: Path) -> None:
    order = order_in(tmp_path, weights_folder, tiny_config(unfrozen(4), frozen(1), batch_size=4))

    finished = trained(pair.train(order, finish_in_first_epoch))

    assert [event.epoch for event in finished.of(StageCutShort)] == [0]
    assert (order.output_folder / "stage-0" / "model.onnx").is_file()
    assert not (order.output_folder / "stage-1").exists()


def second_refuses(rank: int, patch: pytest.MonkeyPatch) -> None:
    """The second process finds too many images unreadable, all by itself."""

    def on_device(batches: ImageBatches, batch: object) -> object:
        raise TooManyUnreadable(9, 18, "circle/0.png", "gone")

    if rank == 1:
        patch.setattr(ImageBatches, "_on_device", on_device)


def test_what_the_second_refuses_is_the_refusal_of_the_first(pair: Pair, tmp_path: Path, weights_folder: Path) -> None:
    outcomes = pair.train(order_in(tmp_path, weights_folder, tiny_config(unfrozen(1), batch_size=4)), second_refuses)

    assert [type(outcome.raised) for outcome in outcomes] == [TooManyUnreadable, TooManyUnreadable]
    assert "9 of 18 images" in str(outcomes[0].raised)


def second_breaks(rank: int, patch: pytest.MonkeyPatch) -> None:
    """The second process has a bug."""

    def on_device(batches: ImageBatches, batch: object) -> object:
        raise ZeroDivisionError

    if rank == 1:
        patch.setattr(ImageBatches, "_on_device", on_device)


def test_what_breaks_the_second_ends_the_first_at_once(pair: Pair, tmp_path: Path, weights_folder: Path) -> None:
    outcomes = pair.train(order_in(tmp_path, weights_folder, tiny_config(unfrozen(1), batch_size=4)), second_breaks)

    assert [type(outcome.raised) for outcome in outcomes] == [PeerLost, ZeroDivisionError]
