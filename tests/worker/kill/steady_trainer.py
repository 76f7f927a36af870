"""A trainer without a network: it tells of steps at a steady pace and goes on from its last state.

All else is the real thing: it runs as a child of the supervisor, records through the fence,
and ends by the same codes. The run's name says how it misbehaves. Each step leaves a line in the
run's trace, so that a test sees what was repeated and what was left out.
"""

import errno
import faulthandler
import os
import signal
import sys
import time
from pathlib import Path

from backend.db.session import Database
from backend.domain.events import EpochFinished, StageStarted, StateSaved, StepFinished
from backend.domain.training import TrainingConfig
from backend.ledger.queries import Jobs
from backend.settings import load
from backend.storage.local import LocalStorage
from backend.training import record as progress
from backend.training.find import find_run
from backend.training.repository import RunRepository
from tests.fixtures.full_disk import fill_up
from worker import exits
from worker.engine.order import Stopped
from worker.jobs.recording import recording, write_with_retry
from worker.jobs.train_recorder import TrainRecorder
from worker.parent_death import end_with_parent
from worker.stop_signals import SignalStop

STEPS = 4
STEP_S = 0.08
HURRIED_S = 0.01
"""A step of a later attempt, in which mostly nothing happens any more but its end; not so for the patient."""


def main(job_id: str, attempt: int, parent: int) -> int:
    """Pretend to train."""
    end_with_parent(parent)
    faulthandler.register(signal.SIGQUIT)
    settings = load()
    database = Database(settings.sql_url)
    fill_up(database, Path(settings.data) / "full-ledger")
    stop = SignalStop(parent)
    with database.read() as session:
        claim = Jobs(session).claim_of(job_id, attempt)
        if claim is None:
            return exits.LOST
        run = find_run(session, claim.subject_id)
        states = RunRepository(session).states(run.id, 1)
    _misbehave_at_once(run.name)
    config = TrainingConfig.model_validate(run.config)
    epochs = config.stages[0].epochs
    step_s = STEP_S if attempt == 1 or run.name == "patient" else HURRIED_S
    first, first_step = (states[0].epoch, states[0].step) if states else (0, 0)
    dies = Deaths(run.name, Path(settings.data))
    dies.at("begin", 0)
    recorder = TrainRecorder(database, LocalStorage(settings.storage_folder), claim, config, stop)
    with recording(recorder) as code, (Path(settings.data) / f"trace-{run.id}").open("a") as trace:
        write_with_retry(database, lambda session: progress.begin(session, claim), stop)
        recorder(StageStarted(0, True, epochs, first, STEPS, settings.device))
        for epoch in range(first, epochs):
            for step in range(first_step, STEPS):
                if stop.requested():
                    recorder(StateSaved(0, epoch, step, f"state-0-{epoch}-{step}", "0" * 64, 1))
                    raise Stopped
                _misbehave_at_step(run.name, epoch, step, Path(settings.data))
                if step == 2:
                    dies.at("step", epoch)
                time.sleep(step_s)
                trace.write(f"{epoch}.{step}\n")
                trace.flush()
                done = epoch * STEPS + step + 1
                recorder(StepFinished(0, epoch, done, epochs * STEPS, (1.0,), 0.001, 0.9, 100.0))
            first_step = 0
            dies.at("before the epoch is reported", epoch)
            recorder(EpochFinished(0, epoch, 1.0, 1.0, 0.5, 0.5, 0.001, STEPS * STEP_S))
            dies.at("saved and not stored", epoch)
            recorder(StateSaved(0, epoch + 1, 0, f"state-0-{epoch + 1}-0", "0" * 64, 1))
            dies.at("stored", epoch)
            _misbehave_after_epoch(run.name)
            if stop.finish_requested():
                break
        dies.at("end", epochs - 1)
    return code.value


class Deaths:
    """Kills the process once at each place of its list, one epoch after the other."""

    PLACES = (
        ("begin", 0),
        ("step", 0),
        ("before the epoch is reported", 1),
        ("saved and not stored", 2),
        ("stored", 3),
        ("end", 3),
    )

    def __init__(self, name: str, folder: Path) -> None:
        self._is_on, self._folder = name == "dies everywhere", folder

    def at(self, place: str, epoch: int) -> None:
        """Die here, unless that has happened already."""
        mark = self._folder / f"died-{place}-{epoch}"
        if self._is_on and (place, epoch) in self.PLACES and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def _misbehave_at_once(name: str) -> None:
    match name:
        case "crashes":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stuck":
            time.sleep(600)
        case "card":
            sys.exit(exits.DEVICE_FAILED)
        case "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _misbehave_at_step(name: str, epoch: int, step: int, data: Path) -> None:
    if name == "full" and epoch == 1 and (data / "full").exists():
        raise OSError(errno.ENOSPC, "No space left on device")
    if name == "wedged" and epoch == 1 and step == 2 and not (data / "wedged").exists():
        (data / "wedged").touch()
        time.sleep(600)


def _misbehave_after_epoch(name: str) -> None:
    if name == "crashes after each epoch":
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
