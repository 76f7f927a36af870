"""Stages that run only on a condition."""

from pathlib import Path

import pytest

from backend.domain.events import EpochFinished, StageCutShort, StageSkipped, StageStarted
from backend.domain.training import RunIf
from tests.fixtures.engine import Listener, frozen, order_in, shapes, tiny_config, unfrozen
from worker.engine import recipe
from worker.engine.order import StageResult
from worker.engine.stage import finish, run
from worker.engine.stage.run import run_stage


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(("error_rate", "begun", "skipped"), [(0.0, [0], [1]), (0.5, [0, 1], [])])
def test_a_stage_against_mistakes_runs_only_where_there_are_some(
    tmp_path: Path,
    weights_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    error_rate: float,
    begun: list[int],
    skipped: list[int],
) -> None:
    def with_error_rate(*given: object, **more: object) -> StageResult:
        found = run_stage(*given, **more)  # type: ignore[arg-type]  # handed on
        return StageResult(found.stage, found.folder, found.valid_loss, error_rate)

    monkeypatch.setattr(recipe, "run_stage", with_error_rate)
    config, listener = tiny_config(frozen(1), unfrozen(1, run_if=RunIf.MISTAKES)), Listener()

    result = recipe.train(order_in(tmp_path, weights_folder, config, shapes()), on_event=listener)

    assert [event.stage for event in listener.of(StageStarted)] == begun
    assert [event.stage for event in listener.of(StageSkipped)] == skipped
    assert [stage.stage for stage in result.stages] == begun


@pytest.mark.usefixtures("tiny")
def test_it_is_said_why_a_stage_is_left_out(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "run_stage", lambda *given, **more: StageResult(0, tmp_path, 0.1, 0.0))
    config, listener = tiny_config(frozen(1), unfrozen(1, run_if=RunIf.MISTAKES)), Listener()

    recipe.train(order_in(tmp_path, weights_folder, config, shapes()), on_event=listener)

    assert [event.reason for event in listener.of(StageSkipped)] == [
        "The model gets every picture held out for testing right: there is nothing left to improve"
    ]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(("gives_up", "epochs"), [(True, 2), (False, 6)])
def test_a_stage_that_stays_far_behind_ends_early_where_that_is_wanted(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch, gives_up: bool, epochs: int
) -> None:
    stage = unfrozen(6, stop_if_worse=gives_up)
    config, listener = tiny_config(frozen(1), stage), Listener()
    monkeypatch.setattr(run, "is_far_behind", lambda done, best, before: done >= 1 / 3)

    recipe.train(order_in(tmp_path, weights_folder, config, shapes()), on_event=listener)

    assert len([event for event in listener.of(EpochFinished) if event.stage == 1]) == epochs
    assert [event.reason for event in listener.of(StageCutShort)] == [
        "Ended early: after epoch 2 of 6 it was far behind the model before it"
    ] * gives_up


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("run_if", "is_clear", "best"), [(RunIf.MISTAKES, True, 1), (RunIf.MISTAKES, False, 0), (RunIf.ALWAYS, False, 1)]
)
def test_a_stage_against_mistakes_counts_only_if_it_is_clearly_better(
    tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch, run_if: RunIf, is_clear: bool, best: int
) -> None:
    monkeypatch.setattr(finish, "is_clearly_better", lambda flips, losses: is_clear)
    # The first stage doesn't learn; the second one has fewer errors or a lower loss.
    first = frozen(1, max_lr=1e-9)
    config = tiny_config(first, unfrozen(4, max_lr=1e-2, run_if=run_if))

    result = recipe.train(order_in(tmp_path, weights_folder, config, shapes()), on_event=Listener())

    assert result.best.stage == best
    assert [stage.is_within_chance for stage in result.stages] == [False, best == 0]
