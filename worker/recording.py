"""The engine's events become rows, its exceptions an exit code; a database that is away only delays it.

Steps and phases are written when it suits, at most twice a second. An epoch is held
back until the state after it is on disk, and both are stored in one transaction; then
the training waits until that is done, as only what is stored may be forgotten on disk.
"""

import errno
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

import structlog

from backend.db.session import DATABASE_AWAY, Database, ReadSession, WriteSession
from backend.domain.errors import AppError
from backend.domain.events import EpochFinished, Event, StageFinished, StateSaved
from backend.domain.ids import CheckpointId, new_id
from backend.domain.training import TrainingConfig
from backend.ledger.job import NO_ROOM, Claim, Desired, Failure, LostLease
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.storage.base import Storage
from backend.training import record as progress
from backend.training.forecast.eta import EtaEstimator
from backend.training.forecast.measurements import keep_speeds
from backend.training.forecast.speeds import Stopwatch
from backend.training.record import StoredCheckpoint
from worker import exits
from worker.engine.order import Stopped, StopSignal
from worker.stall_timeout import StallTimeout

log = structlog.get_logger()

Answer = TypeVar("Answer")
AnySession = TypeVar("AnySession", ReadSession, WriteSession)
_WRITE_EVERY_S: Final = 0.5
_LONGEST_WAIT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Clocked:
    """How fast a training goes is taken down, for the forecasts of later ones on this machine."""

    machine: str
    stopwatch: Stopwatch


class Recorder:
    """Listens to one training and writes down what it says."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        claim: Claim,
        config: TrainingConfig,
        stop: StopSignal,
        *,
        pace: EtaEstimator | None = None,
        clocked: Clocked | None = None,
    ) -> None:
        self._database, self._storage, self._claim, self._stop = database, storage, claim, stop
        self._pace, self._patience, self._clocked = pace or EtaEstimator(config), StallTimeout(), clocked
        self._patience_written = 0.0
        self._waiting: list[Event] = []
        self._epoch: EpochFinished | None = None
        self._written_at = 0.0
        self.output_folder = Path()

    def __call__(self, event: Event) -> None:
        """Take in an event.

        Raises:
            LostLease: another attempt has the job; nothing more must be done.
            Stopped: told to stop while the database was away.
        """
        self._pace.see(event)
        self._patience.see(event)
        if self._clocked is not None:
            self._clocked.stopwatch.see(event)
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

    def finish(self) -> None:
        """The training is done.

        Raises:
            LostLease: another attempt has the job.
        """
        if self._epoch is not None:
            self._store_epoch(None)
        self._insist(self._flush)
        self._insist(lambda session: progress.finish(session, self._claim))

    def fail(self, failure: Failure) -> None:
        """The training can't be done.

        Raises:
            LostLease: another attempt has the job.
        """
        self._insist(self._flush)
        self._insist(lambda session: progress.fail(session, self._claim, failure))

    def leave(self) -> None:
        """Write down what waits before going; best effort."""
        with self._database.write() as session:
            self._flush(session)

    def wanted(self) -> Desired:
        """What its owner wants of the job."""
        with self._database.read() as session:
            return Jobs(session).wanted(self._claim)

    def rest_for_room(self, failure: Failure, needed_bytes: int) -> None:
        """The training goes on once there is room on the disk.

        Raises:
            LostLease: another attempt has the job.
        """

        def write(session: WriteSession) -> None:
            self._flush(session)
            Ledger(session).pause_for_room(self._claim.job_id, self._claim.attempt, failure, needed_bytes)

        write_with_retry(self._database, write, self._stop)

    def _write_what_waits(self) -> None:
        """Without waiting for a database that is away: there is another time."""
        if time.monotonic() - self._written_at < _WRITE_EVERY_S:
            return
        self._written_at = time.monotonic()
        try:
            with self._database.write() as session:
                self._flush(session)
        except DATABASE_AWAY as error:
            log.warning("record_delayed", error=type(error).__name__, events=len(self._waiting))
        else:
            self._forget_what_waited()

    def _forget_what_waited(self) -> None:
        self._waiting.clear()
        if self._clocked is not None:
            self._clocked.stopwatch.taken.clear()

    def _flush(self, session: WriteSession) -> None:
        progress.record_events(session, self._claim, self._waiting, self._pace.standing)
        if self._clocked is not None and self._clocked.stopwatch.taken:
            keep_speeds(session, self._clocked.machine, self._clocked.stopwatch.taken)
        patience = self._patience.stall_after_s
        if patience and not 0.8 < self._patience_written / patience < 1.25:
            Ledger(session).set_stall_timeout(self._claim.job_id, self._claim.attempt, patience)
            self._patience_written = patience

    def _store_epoch(self, state: StateSaved | None) -> None:
        epoch, self._epoch = self._epoch, None

        def store(session: WriteSession) -> None:
            self._flush(session)
            if epoch is not None:
                progress.record_epoch(session, self._claim, epoch, state, self._pace.standing)
            elif state is not None:
                progress.record_state(session, self._claim, state, self._pace.standing)

        self._insist(store)
        self._forget_what_waited()

    def _store_checkpoint(self, event: StageFinished) -> None:
        stored = self._take_over(event)

        def store(session: WriteSession) -> CheckpointId:
            self._flush(session)
            return progress.record_checkpoint(session, self._claim, event, stored, self._pace.standing)

        try:
            standing = self._insist(store)
        except LostLease:
            self._discard(stored)
            raise
        self._forget_what_waited()
        if standing != stored.id:
            self._discard(stored)

    def _take_over(self, event: StageFinished) -> StoredCheckpoint:
        """Move the stage's folder to where checkpoints are kept, under an id of its own; nobody knows it yet."""
        from worker.engine.checkpoints.checkpoint import read_predictions  # torch: only in a process that has it anyway

        checkpoint_id = CheckpointId(new_id())
        folder = self._storage.folder("checkpoints", checkpoint_id)
        # Onto the empty folder just made: one rename, whole or not at all.
        (self.output_folder / event.folder).replace(folder)
        return StoredCheckpoint(
            checkpoint_id,
            checkpoint_id,
            json.loads((folder / "checkpoint.json").read_bytes()),
            json.loads((folder / "parity.json").read_bytes()),
            read_predictions(folder),
        )

    def _discard(self, stored: StoredCheckpoint) -> None:
        shutil.rmtree(self._storage.folder("checkpoints", stored.folder), ignore_errors=True)

    def _insist(self, write: Callable[[WriteSession], Answer]) -> Answer:
        return write_with_retry(self._database, write, self._stop)


def write_with_retry(database: Database, write: Callable[[WriteSession], Answer], stop: StopSignal) -> Answer:
    """Write in a transaction, again and again while the database is away. What is written may be repeated.

    Raises:
        Stopped: told to stop meanwhile.
    """
    return _with_retry(database.write, write, stop)


def read_with_retry(database: Database, read: Callable[[ReadSession], Answer], stop: StopSignal) -> Answer:
    """Read in a transaction, again and again while the database is away.

    Raises:
        Stopped: told to stop meanwhile.
    """
    return _with_retry(database.read, read, stop)


def _with_retry(
    transaction: Callable[[], AbstractContextManager[AnySession]],
    action: Callable[[AnySession], Answer],
    stop: StopSignal,
) -> Answer:
    wait_s = 0.1
    while True:
        try:
            with transaction() as session:
                return action(session)
        except DATABASE_AWAY as error:
            log.warning("database_away", error=type(error).__name__, seconds=wait_s)
            if stop.requested():
                raise Stopped from error
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


class Record(Protocol):
    """How the end of a job is written down; the errors are those of ``Recorder``."""

    def finish(self) -> None:
        """It is done."""

    def fail(self, failure: Failure) -> None:
        """It can't be done."""

    def leave(self) -> None:
        """It goes on elsewhere, or not at all."""

    def rest_for_room(self, failure: Failure, needed_bytes: int) -> None:
        """It goes on once there is room for so many bytes on the disk."""

    def wanted(self) -> Desired:
        """What its owner wants of it."""


class ExitCode:
    """How the process is to end; set by ``recording``."""

    value = exits.DONE


@contextmanager
def recording(recorder: Record) -> Iterator[ExitCode]:
    """Turn the end of the block into the end of the job, and into an exit code.

    What is nobody's refusal (a bug, a broken driver) is raised: the process ends with it in its log,
    and the job is tried again.
    """
    code = ExitCode()
    try:
        yield code
        recorder.finish()
    except LostLease:
        code.value = exits.LOST
    except Stopped:
        code.value = _stopped(recorder)
    except AppError as error:
        log.warning("job_refused", code=error.code, message=error.message, exc_info=error)
        failure = Failure.of(error)
        if error.code == NO_ROOM.code:
            code.value = _without_room(recorder, failure, int(error.details.get("needed_bytes", 0)))
        else:
            code.value = _refused(recorder, failure)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        log.warning("disk_full", exc_info=error)
        code.value = _without_room(recorder, NO_ROOM, 0)
    except RuntimeError as error:
        if not is_device_failure(error):
            raise
        # Nothing on this device works in this process any more; only its end heals that.
        log.warning("device_failed", exc_info=error)
        code.value = exits.DEVICE_FAILED


_EXIT_FOR: Final = {Desired.CANCEL: exits.CANCELLED, Desired.PAUSE: exits.PAUSED}


def _stopped(recorder: Record) -> int:
    try:
        recorder.leave()
        return _EXIT_FOR.get(recorder.wanted(), exits.YIELDED)
    except LostLease:
        return exits.LOST
    except DATABASE_AWAY:
        return exits.YIELDED


def is_device_failure(error: RuntimeError) -> bool:
    """Whether a GPU has reported what it can't recover from; running out of its memory is something else."""
    return str(error).startswith(("CUDA error", "cuDNN error", "CUDNN_STATUS"))


def _without_room(recorder: Record, failure: Failure, needed_bytes: int) -> int:
    try:
        recorder.rest_for_room(failure, needed_bytes)
    except LostLease:
        return exits.LOST
    except Stopped:
        # The supervisor writes it down.
        return exits.NO_ROOM
    return exits.NO_ROOM


def _refused(recorder: Record, failure: Failure) -> int:
    try:
        recorder.fail(failure)
    except LostLease:
        return exits.LOST
    except Stopped:
        return exits.YIELDED
    return exits.REFUSED_FOR.get(failure.code, exits.REFUSED)
