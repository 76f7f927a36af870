"""Two processes that train together, made once for many trainings: importing torch takes longer than those."""

import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.fixtures.engine import Listener
from worker.engine.order import TrainingOrder

PATIENCE_S = 120

Prepare = Callable[[int, pytest.MonkeyPatch], Any]
"""Given a rank and what undoes its changes, returns a stop signal or None; Any: of any kind."""


@dataclass(frozen=True)
class Job:
    """What one of the two is to do.

    Attributes:
        prepare: called in each process before it trains; returns the stop signal.
    """

    order: TrainingOrder
    meeting: str
    rank: int
    prepare: Prepare | None = None


@dataclass
class Outcome:
    """What became of a training in one process: its events, and what it raised where it did."""

    events: list[Any] = field(default_factory=list)  # Any: events of all kinds
    raised: BaseException | None = None
    trace: str = ""

    def listener(self) -> Listener:
        """The events, to ask for those of one kind."""
        return Listener(events=self.events)


class Pair:
    """Two processes that do what they are sent."""

    def __init__(self, weights_folder: Path, folder: Path) -> None:
        self._folder = folder
        context = multiprocessing.get_context("spawn")
        self._ends: list[Connection] = []
        self.processes = []
        for rank in range(2):
            mine, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, weights_folder, rank), daemon=True)
            process.start()
            theirs.close()
            self._ends.append(mine)
            self.processes.append(process)

    def start(self, order: TrainingOrder, prepare: Prepare | None, devices: tuple[str, str]) -> None:
        """Let both begin."""
        meeting = f"file://{self._folder / uuid4().hex}"
        for rank, (end, device) in enumerate(zip(self._ends, devices, strict=True)):
            end.send(Job(replace(order, device=device), meeting, rank, prepare))

    def outcomes(self) -> list[Outcome]:
        """What became of it, by rank; waits until both are done."""
        found = []
        for rank, end in enumerate(self._ends):
            assert end.poll(PATIENCE_S), f"process {rank} waited in vain"
            found.append(end.recv())
        return found

    def train(
        self, order: TrainingOrder, prepare: Prepare | None = None, *, devices: tuple[str, str] = ("cpu", "cpu")
    ) -> list[Outcome]:
        """Train in both; what became of it, by rank."""
        self.start(order, prepare, devices)
        return self.outcomes()

    def close(self) -> None:
        """End both."""
        for process in self.processes:
            process.kill()
            process.join()


def trained(outcomes: list[Outcome]) -> Listener:
    """The events of the first of two processes that have both come to the end; the other reports none."""
    for outcome in outcomes:
        assert outcome.raised is None, outcome.trace
    assert outcomes[1].events == []
    return outcomes[0].listener()


def _serve(end: Connection, weights_folder: Path, rank: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    import torch

    from tests.fixtures.engine import tiny_registered

    torch.set_num_threads(1)
    # Each has a folder of its own to register it from; the order's is the test's.
    with tiny_registered(weights_folder / str(rank)):
        while True:
            try:
                job = end.recv()
            except EOFError:
                return
            end.send(_done(job))


def _done(job: Job) -> Outcome:
    import torch

    from worker.engine.parallel.joined import joined
    from worker.engine.recipe import train

    outcome = Outcome()
    listener = Listener(events=outcome.events)
    try:
        with ExitStack() as stack:
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            prepared = job.prepare(job.rank, patch) if job.prepare else None
            ranks = stack.enter_context(
                joined(torch.device(job.order.device), init_method=job.meeting, rank=job.rank, size=2)
            )
            train(job.order, on_event=listener if job.rank == 0 else _ignore, stop=prepared, ranks=ranks)
    except BaseException as error:
        outcome.trace = traceback.format_exc()
        try:
            pickle.dumps(error)
            outcome.raised = error
        except Exception:
            outcome.raised = RuntimeError(outcome.trace)
    return outcome


def _ignore(event: object) -> None:
    pass
