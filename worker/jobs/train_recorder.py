"""A training's events become rows.

Steps and phases are written when it suits, at most twice a second. An epoch is held
back until the state after it is on disk, and both are stored in one transaction; then
the training waits until that is done, as only what is stored may be forgotten on disk.
"""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

from backend.db.session import DATABASE_AWAY, Database, WriteSession
from backend.domain.events import EpochFinished, Event, StageFinished, StateSaved
from backend.domain.ids import CheckpointId, new_id
from backend.domain.manifest import Split
from backend.domain.training import TrainingConfig
from backend.ledger.job import Claim, Failure, LostLease
from backend.ledger.repository import Ledger
from backend.storage.base import Storage
from backend.training import record
from backend.training.forecast.eta import Standing
from backend.training.forecast.follower import RunFollower
from backend.training.forecast.measurements import keep_speeds
from backend.training.forecast.speeds import speeds_of
from backend.training.record import StoredCheckpoint
from worker.engine.order import StopSignal
from worker.jobs.recording import JobRecord

log = structlog.get_logger()

_WRITE_EVERY_S: Final = 0.5
_SILENT_S: Final = 2.0
"""After so long without an event the progress that the clock gives is shown."""


class TrainRecorder(JobRecord):
    """Writes down one attempt at a training.

    Attributes:
        machine: the name under which its measurements are kept for later forecasts; None keeps none.
        heatmaps_ahead: whether the heat maps of the best model's worst pictures are to be made after it.
        output_folder: where the engine leaves finished stages.
    """

    def __init__(
        self,
        database: Database,
        storage: Storage,
        claim: Claim,
        config: TrainingConfig,
        stop: StopSignal,
        *,
        follower: RunFollower | None = None,
        machine: str | None = None,
        heatmaps_ahead: bool = False,
    ) -> None:
        super().__init__(database, claim, stop)
        self._storage, self._config, self._machine = storage, config, machine
        self._heatmaps_ahead = heatmaps_ahead
        self._follower, self._lock = follower or RunFollower(config), threading.Lock()
        self._stall_timeout_written = 0.0
        self._waiting: list[Event] = []
        self._epoch: EpochFinished | None = None
        self._written_at = self._heard_at = 0.0
        self.output_folder = Path()

    def __call__(self, event: Event) -> None:
        """Take in an event.

        Raises:
            LostLease: another attempt has the job; nothing more must be done.
            Stopped: asked to stop while the database was away.
        """
        with self._lock:
            self._follower.see(event)
            self._heard_at = time.monotonic()
        if self._epoch is not None and not isinstance(event, StateSaved):
            self._store_epoch(None)
        match event:
            case EpochFinished():
                self._epoch = event
            case StateSaved():
                self._store_epoch(event)
            case StageFinished():
                self._store_checkpoint(event)
            case _:
                self._waiting.append(event)
                self._write_what_waits()

    @contextmanager
    def showing_silence(self) -> Iterator[None]:
        """While the block lasts, progress is estimated and shown where the engine reports nothing for a while."""
        is_over = threading.Event()
        thread = threading.Thread(target=self._show_silence, args=(is_over,), name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join(timeout=5)

    def flush(self, session: WriteSession) -> None:
        """Write the events that wait, how far the run is, and what was measured."""
        with self._lock:
            standing, stall_after_s = self._follower.standing, self._follower.stall_after_s
            measurements = list(self._follower.measurements)
        record.record_events(session, self.claim, self._waiting, standing)
        if self._machine is not None and (speeds := speeds_of(measurements, self._config, self.claim.subject_id)):
            keep_speeds(session, self._machine, speeds)
        if stall_after_s and not 0.8 < self._stall_timeout_written / stall_after_s < 1.25:
            Ledger(session).set_stall_timeout(self.claim.job_id, self.claim.attempt, stall_after_s)
            self._stall_timeout_written = stall_after_s

    def finish(self) -> None:
        """The training is done."""
        if self._epoch is not None:
            self._store_epoch(None)
        super().finish()

    def store_end(self, session: WriteSession) -> None:
        """Job and run are done."""
        record.finish(session, self.claim, heatmaps_ahead=self._heatmaps_ahead)

    def store_failure(self, session: WriteSession, failure: Failure) -> None:
        """Job and run have failed."""
        record.fail(session, self.claim, failure)

    @property
    def _standing(self) -> Standing:
        with self._lock:
            return self._follower.standing

    def _show_silence(self, is_over: threading.Event) -> None:
        while not is_over.wait(_SILENT_S):
            with self._lock:
                is_silent = time.monotonic() - self._heard_at >= _SILENT_S
                standing = self._follower.standing
            if is_silent:
                with suppress(*DATABASE_AWAY), self.database.write() as session:  # there is another time
                    record.show_between_events(session, self.claim, standing)

    def _write_what_waits(self) -> None:
        """Without waiting for a database that is away: there is another time."""
        if time.monotonic() - self._written_at < _WRITE_EVERY_S:
            return
        self._written_at = time.monotonic()
        try:
            with self.database.write() as session:
                self.flush(session)
        except DATABASE_AWAY as error:
            log.warning("record_delayed", error=type(error).__name__, events=len(self._waiting))
        else:
            self._forget_what_waited()

    def _forget_what_waited(self) -> None:
        self._waiting.clear()
        self._follower.measurements.clear()

    def _store_epoch(self, state: StateSaved | None) -> None:
        epoch, self._epoch = self._epoch, None

        def store(session: WriteSession) -> None:
            self.flush(session)
            if epoch is not None:
                record.record_epoch(session, self.claim, epoch, state, self._standing)
            elif state is not None:
                record.record_state(session, self.claim, state, self._standing)

        self.write(store)
        self._forget_what_waited()

    def _store_checkpoint(self, event: StageFinished) -> None:
        stored = self._take_over(event)

        def store(session: WriteSession) -> CheckpointId:
            self.flush(session)
            return record.record_checkpoint(session, self.claim, event, stored, self._standing)

        try:
            kept = self.write(store)
        except LostLease:
            self._discard(stored)
            raise
        self._forget_what_waited()
        if kept != stored.id:
            self._discard(stored)

    def _take_over(self, event: StageFinished) -> StoredCheckpoint:
        """Move the stage's folder to where checkpoints are kept, under an id of its own, which no row has yet."""
        from worker.engine.checkpoints.checkpoint import read_predictions  # torch: only in a process that has it anyway

        checkpoint_id = CheckpointId(new_id())
        folder = self._storage.folder("checkpoints", checkpoint_id)
        # Onto the empty folder just made: one rename, whole or not at all.
        (self.output_folder / event.folder).replace(folder)
        content = json.loads((folder / "checkpoint.json").read_bytes())
        return StoredCheckpoint(
            checkpoint_id,
            checkpoint_id,
            content,
            json.loads((folder / "parity.json").read_bytes()),
            {Split(name): read_predictions(folder, name) for name in content["metrics"]},
        )

    def _discard(self, stored: StoredCheckpoint) -> None:
        shutil.rmtree(self._storage.folder("checkpoints", stored.folder), ignore_errors=True)
