"""Runs whose trainer is a real child process, and what became of them."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.domain.training import StageRequest, TrainingRequest
from backend.ledger.queries import Jobs
from backend.ledger.unit_of_work import NoNotifier, unit_of_work
from backend.tables.ledger import JobAttemptRow, JobRow
from backend.tables.training import RunRow
from backend.training import control
from backend.training.run_view import RunView, show_run
from backend.training.start import RunOrder, start
from tests.fixtures.versions import add_shapes
from worker.identity import WorkerContext

on_one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What the test is about happens between processes; the ledger's own tests run on both."""


def ordered_run(context: WorkerContext, name: str = "steady", epochs: int = 2) -> str:
    with context.database.write() as session:
        version_id = add_shapes(session, context.storage, train=2, valid=1)
    request = TrainingRequest(stages=(StageRequest(epochs=epochs),))
    with unit_of_work(context.database, NoNotifier()) as unit:
        return start(unit, RunOrder(version_id, request, name), Path("/nowhere")).id


def ask(context: WorkerContext, run_id: str, what: str, *, after_steps: int) -> None:
    """What a run's owner wants, said while it is under way: once so many steps are made."""

    def say() -> None:
        with unit_of_work(context.database, NoNotifier()) as unit:
            match what:
                case "pause":
                    control.pause(unit.session, run_id)
                case "resume":
                    control.resume(unit, run_id)
                case "finish":
                    control.finish(unit.session, run_id)

    if after_steps:
        after_steps_do(context, run_id, after_steps, say)
    else:
        say()


def after_steps_do(context: WorkerContext, run_id: str, number: int, do: Callable[[], None]) -> None:
    """Do something once a run has made so many steps."""

    def wait() -> None:
        wait_until(lambda: steps(context, run_id) >= number)
        do()

    threading.Thread(target=wait).start()


def trace(context: WorkerContext, run_id: str) -> list[str]:
    """Every step that was made, ``epoch.step``, in order."""
    return (context.settings.data / f"trace-{run_id}").read_text().split()


def steps(context: WorkerContext, run_id: str) -> int:
    """How many steps were made so far."""
    trace = context.settings.data / f"trace-{run_id}"
    return len(trace.read_text().split()) if trace.exists() else 0


def wait_until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not what() and time.monotonic() < deadline:
        time.sleep(0.02)


def job_of(context: WorkerContext, run_id: str) -> JobRow:
    with context.database.read() as session:
        job = Jobs(session).find(session.get_one(RunRow, run_id).job_id)
        assert job is not None
        return job


def view_of(context: WorkerContext, run_id: str) -> RunView:
    with context.database.read() as session:
        return show_run(session, run_id)


def attempts(context: WorkerContext, run_id: str) -> list[JobAttemptRow]:
    with context.database.read() as session:
        return Jobs(session).attempts(session.get_one(RunRow, run_id).job_id)


def with_timers(context: WorkerContext, **timers: Any) -> WorkerContext:  # Any: the fields of Timers
    """A worker with some of its times changed."""
    return replace(context, identity=replace(context.identity, timers=replace(context.identity.timers, **timers)))
