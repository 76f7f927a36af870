"""A training of several processes under its supervisor: it is stopped, finished, killed and resumed like one of one."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from backend.domain.training import StageRequest, TrainingRequest
from backend.ledger.job import JobKind
from backend.ledger.unit_of_work import NoNotifier, unit_of_work
from backend.tables.ledger import JobRow
from backend.tables.training import EpochRow
from backend.training.repository import RunRepository
from backend.training.start import RunOrder, start
from tests.fixtures.engine import SIDE, TINY
from tests.fixtures.nightly import is_night
from tests.fixtures.versions import add_shapes
from tests.worker.kill.conftest import parent_of, wait_until
from tests.worker.supervising import ask, attempts, job_of, on_one_database, view_of
from worker.identity import WorkerContext
from worker.supervisor import run_waiting_jobs

PATIENCE_S = 300.0

pytestmark = [pytest.mark.kill, on_one_database]


@pytest.fixture
def tiny_context(
    context: WorkerContext, weights_folder: Path, monkeypatch: pytest.MonkeyPatch, tiny: object
) -> WorkerContext:
    monkeypatch.setenv("TELLAPART_WEIGHTS", str(weights_folder))
    monkeypatch.setenv("TELLAPART_DEVICE", "cpu")
    timers = replace(context.identity.timers, kill_grace=90.0, lease=120.0, suspend=100.0)
    return replace(context, identity=replace(context.identity, trainer="tests.worker.kill.tiny_trainer", timers=timers))


def ordered(context: WorkerContext, *, epochs: int, devices: int = 2) -> str:
    with context.database.write() as session:
        version_id = add_shapes(session, context.storage, train=8, valid=3)
    stage = StageRequest(freeze=False, epochs=epochs, max_lr=1e-3)
    request = TrainingRequest(architecture=TINY, image_size=SIDE, batch_size=8, stages=(stage,), devices=devices)
    with unit_of_work(context.database, NoNotifier()) as unit:
        return start(unit, RunOrder(version_id, request), Path("/nowhere")).id


def epochs_of(context: WorkerContext, run_id: str) -> list[EpochRow]:
    with context.database.read() as session:
        return list(RunRepository(session).epochs(run_id))


def meanwhile(is_so: Callable[[], bool], do: Callable[[], None]) -> None:
    """Do something as soon as something is so."""

    def wait() -> None:
        wait_until(is_so, PATIENCE_S)
        do()

    threading.Thread(target=wait, daemon=True).start()


def launcher_of(context: WorkerContext, run_id: str) -> int:
    """The process that the supervisor has started."""
    return next(one.pid for one in attempts(context, run_id) if one.ended_at is None and one.pid is not None)


def ranks_of(launcher: int) -> list[int]:
    """The processes that share the training, by rank: they were started one after the other."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_rank = b"spawn_main" in (folder / "cmdline").read_bytes()
            if is_rank and parent_of(int(folder.name)) == launcher:
                found.append(int(folder.name))
    return sorted(found)


def test_it_is_paused_at_a_step_and_continues_on_one_device(
    tiny_context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDS_A_STEP", "0.2")
    run_id = ordered(tiny_context, epochs=3)
    meanwhile(
        lambda: len(epochs_of(tiny_context, run_id)) >= 1, lambda: ask(tiny_context, run_id, "pause", after_steps=0)
    )
    run_waiting_jobs(tiny_context, JobKind.TRAIN)
    assert view_of(tiny_context, run_id).status == "paused"

    with tiny_context.database.write() as session:
        session.get_one(JobRow, job_of(tiny_context, run_id).id).devices = 1
    ask(tiny_context, run_id, "resume", after_steps=0)
    run_waiting_jobs(tiny_context, JobKind.TRAIN)

    assert view_of(tiny_context, run_id).status == "succeeded"
    assert [row.epoch for row in epochs_of(tiny_context, run_id)] == [0, 1, 2]
    assert [(one.outcome, one.exit_code) for one in attempts(tiny_context, run_id)] == [("paused", 10), ("done", 0)]


def test_it_finishes_after_its_epoch_like_one_process_and_leaves_nothing(
    tiny_context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDS_A_STEP", "0.2")
    run_id = ordered(tiny_context, epochs=50)
    meanwhile(
        lambda: len(epochs_of(tiny_context, run_id)) >= 1, lambda: ask(tiny_context, run_id, "finish", after_steps=0)
    )

    run_waiting_jobs(tiny_context, JobKind.TRAIN)

    assert view_of(tiny_context, run_id).status == "succeeded"
    epochs = [row.epoch for row in epochs_of(tiny_context, run_id)]
    assert epochs == list(range(len(epochs)))
    assert len(epochs) < 50
    assert [(one.outcome, one.exit_code) for one in attempts(tiny_context, run_id)] == [("done", 0)]
    (checkpoint,) = view_of(tiny_context, run_id).checkpoints
    assert checkpoint.metrics["valid"]["images"] == 9
    assert list((tiny_context.settings.data / "run").glob("ranks-*")) == []


def test_whichever_of_its_processes_is_killed_all_end_and_it_continues(
    tiny_context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDS_A_STEP", "0.2")
    run_id = ordered(tiny_context, epochs=5)
    found: list[list[int]] = []
    # The launcher is the first one; each kill is followed by another start of three processes, so by day there is one.
    victims = (2, 1, 0) if is_night() else (1,)

    def kill_in_turn() -> None:
        for number, victim in enumerate(victims):
            wait_until(lambda number=number: len(epochs_of(tiny_context, run_id)) > number, PATIENCE_S)  # type: ignore[misc]
            launcher = launcher_of(tiny_context, run_id)
            found.append([launcher, *ranks_of(launcher)])
            os.kill(found[-1][victim], signal.SIGKILL)
            wait_until(lambda: not any(map(is_alive, found[-1])), PATIENCE_S)

    killer = threading.Thread(target=kill_in_turn, daemon=True)
    killer.start()
    run_waiting_jobs(tiny_context, JobKind.TRAIN)
    killer.join(30)

    assert view_of(tiny_context, run_id).status == "succeeded"
    assert [row.epoch for row in epochs_of(tiny_context, run_id)] == [0, 1, 2, 3, 4]
    outcomes = [(one.outcome, one.exit_code) for one in attempts(tiny_context, run_id)]
    assert outcomes == [("crashed", -9)] * len(victims) + [("done", 0)]
    assert [len(processes) for processes in found] == [3] * len(victims)
    assert not any(is_alive(pid) for processes in found for pid in processes)


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/cmdline").is_file() and Path(f"/proc/{pid}/cmdline").read_bytes() != b""
