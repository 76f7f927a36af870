"""How the end of an attempt at a job is written down and becomes an exit code.

A database that is away only delays it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, TypeVar

import structlog

from backend.db.session import DATABASE_AWAY, Database, ReadSession, WriteSession
from backend.domain.errors import AppError, is_disk_full
from backend.ledger.job import NO_ROOM, Claim, Desired, Failure, LostLease
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from worker import exits
from worker.engine.order import Stopped, StopSignal

log = structlog.get_logger()

Answer = TypeVar("Answer")
AnySession = TypeVar("AnySession", ReadSession, WriteSession)
_LONGEST_WAIT_S: Final = 5.0


def write_with_retry(database: Database, write: Callable[[WriteSession], Answer], stop: StopSignal) -> Answer:
    """Write in a transaction, again and again while the database is away. What is written may be repeated.

    Raises:
        Stopped: a stop was requested meanwhile.
    """
    return _with_retry(database.write, write, stop)


def read_with_retry(database: Database, read: Callable[[ReadSession], Answer], stop: StopSignal) -> Answer:
    """Read in a transaction, again and again while the database is away.

    Raises:
        Stopped: a stop was requested meanwhile.
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


class JobRecord:
    """How the end of an attempt at a job is written down; a kind of job adds its own columns.

    All but ``leave`` and ``wanted`` raise LostLease where another attempt has the job, and Stopped where the
    process is asked to stop while the database is away.
    """

    def __init__(self, database: Database, claim: Claim, stop: StopSignal) -> None:
        self.database, self.claim, self.stop = database, claim, stop

    def finish(self) -> None:
        """The job is done."""

        def write(session: WriteSession) -> None:
            self.flush(session)
            self.store_end(session)

        self.write(write)

    def fail(self, failure: Failure) -> None:
        """The job can't be done."""

        def write(session: WriteSession) -> None:
            self.flush(session)
            self.store_failure(session, failure)

        self.write(write)

    def leave(self) -> None:
        """The job continues in another attempt, or not at all; what waits is written where that is possible."""
        with self.database.write() as session:
            self.flush(session)

    def wanted(self) -> Desired:
        """What its owner wants of the job."""
        with self.database.read() as session:
            return Jobs(session).wanted(self.claim)

    def pause_for_room(self, failure: Failure, needed_bytes: int) -> None:
        """The job continues once there is room for so many bytes on the disk."""

        def write(session: WriteSession) -> None:
            self.flush(session)
            Ledger(session).pause_for_room(self.claim.job_id, self.claim.attempt, failure, needed_bytes)

        self.write(write)

    def write(self, write: Callable[[WriteSession], Answer]) -> Answer:
        """In a transaction, again and again while the database is away."""
        return write_with_retry(self.database, write, self.stop)

    def flush(self, session: WriteSession) -> None:
        """Write what waits to be written; by default nothing does."""

    def store_end(self, session: WriteSession) -> None:
        """The job's row is done."""
        Ledger(session).finish(self.claim.job_id, self.claim.attempt)

    def store_failure(self, session: WriteSession, failure: Failure) -> None:
        """The job's row has failed."""
        Ledger(session).fail(self.claim.job_id, self.claim.attempt, failure)


class ExitCode:
    """How the process is to end; set by ``recording``."""

    value = exits.DONE


@contextmanager
def recording(recorder: JobRecord) -> Iterator[ExitCode]:
    """Turn the end of the block into the end of the job, and into an exit code.

    Any other exception (a bug, a broken driver) is raised: the process ends with it in its log,
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
        if not is_disk_full(error):
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


def _stopped(recorder: JobRecord) -> int:
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


def _without_room(recorder: JobRecord, failure: Failure, needed_bytes: int) -> int:
    try:
        recorder.pause_for_room(failure, needed_bytes)
    except LostLease:
        return exits.LOST
    except Stopped:
        # The supervisor writes it down.
        return exits.NO_ROOM
    return exits.NO_ROOM


def _refused(recorder: JobRecord, failure: Failure) -> int:
    try:
        recorder.fail(failure)
    except LostLease:
        return exits.LOST
    except Stopped:
        return exits.YIELDED
    return exits.REFUSED_FOR.get(failure.code, exits.REFUSED)
