"""A trainer without a network: it tells of epochs at a steady pace and goes on from its last state.

All else is the real thing: it runs as a child of the supervisor, records through the fence,
and ends by the same codes. The run's name says how it misbehaves.
"""

import faulthandler
import os
import signal
import sys
import time
from pathlib import Path

from backend.db.session import Database
from backend.domain.events import EpochFinished, StageStarted, StateSaved, StepFinished
from backend.domain.training import TrainingConfig
from backend.ledger.repository import Jobs
from backend.settings import load
from backend.storage.local import LocalStorage
from backend.training import progress
from backend.training.find import find_run
from backend.training.repository import RunRepository
from worker import exits
from worker.death import die_with
from worker.engine.order import Stopped
from worker.recording import Recorder, insist, recording
from worker.stopping import SignalStop

STEPS = 4
STEP_S = 0.08


def main(job_id: str, attempt: int, parent: int) -> int:
    """Pretend to train."""
    die_with(parent)
    settings = load()
    database = Database(settings.sql_url)
    stop = SignalStop(parent)
    with database.read() as session:
        claim = Jobs(session).claim_of(job_id, attempt)
        if claim is None:
            return exits.LOST
        run = find_run(session, claim.subject_id)
        states = RunRepository(session).states(run.id, 1)
    if run.name == "crashes":
        os.kill(os.getpid(), signal.SIGKILL)
    if run.name == "stuck":
        faulthandler.register(signal.SIGQUIT)
        time.sleep(600)
    if run.name == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    config = TrainingConfig.model_validate(run.config)
    epochs = config.stages[0].epochs
    first = states[0].epoch + 1 if states else 0
    trace = Path(settings.data) / f"trace-{run.id}"
    recorder = Recorder(database, LocalStorage(settings.storage_folder), claim, config, stop)
    with recording(recorder) as code:
        insist(database, lambda session: progress.begin(session, claim), stop)
        recorder(StageStarted(0, True, epochs, first, STEPS, "cpu"))
        for epoch in range(first, epochs):
            with trace.open("a") as file:
                file.write(f"{epoch}\n")
            for step in range(STEPS):
                if stop.requested():
                    raise Stopped
                time.sleep(STEP_S)
                done = epoch * STEPS + step + 1
                recorder(StepFinished(0, epoch, done, epochs * STEPS, (1.0,), 0.001, 0.9, 100.0))
            recorder(EpochFinished(0, epoch, 1.0, 1.0, 0.5, 0.5, 0.001, STEPS * STEP_S))
            recorder(StateSaved(0, epoch + 1, 0, f"state-0-{epoch}", "0" * 64, 1))
    return code.value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
