"""The sweep: lost attempts are closed and their jobs queued again, and waiting jobs are notified again.

Runs in every web process and worker host; one of them at a time does it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from backend.db.session import DATABASE_AWAY, Database
from backend.ledger.job import WORKER_LOST, JobKind, JobState, Outcome
from backend.ledger.repository import Ledger
from backend.ledger.timers import Timers
from backend.ledger.unit_of_work import JobNotifier

log = structlog.get_logger()

_FORGET_WORKERS_AFTER_S = 600.0
ROOM_TO_SPARE: Final = 256 * 2**20
"""Bytes that must be free beyond what a job needs before it resumes: others write as well."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did.

    Attributes:
        startup_grace: leases were left alone, so soon after a start.
        found_room: jobs that the disk had been too full for.
    """

    requeued: int = 0
    ended: int = 0
    found_room: int = 0
    notified: tuple[JobKind, ...] = ()
    startup_grace: bool = False


class Sweeper:
    """Looks through the ledger every now and then.

    For a while after the start, and after the database was away, no lease is declared
    lost: until then none could have been renewed. ``free_bytes`` returns how much room there is
    where jobs keep their files; without it, what waits for room is left to another sweeper.
    """

    def __init__(
        self,
        database: Database,
        notifier: JobNotifier,
        timers: Timers | None = None,
        *,
        free_bytes: Callable[[], int] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._notifier = database, notifier
        self._timers = timers or Timers()
        self._free_bytes, self._monotonic = free_bytes, monotonic
        self._calm_until = monotonic() + self._timers.startup_grace

    def run(self, stop: threading.Event) -> None:
        """Sweep until stopped; for a thread of its own, which no error ends."""
        while not stop.wait(self._timers.sweep):
            try:
                self.sweep()
            # Whatever is wrong with one job, the others still need the sweep.
            except Exception:
                log.exception("sweep_failed")

    def sweep(self) -> Swept:
        """Check the ledger once; notifies after its transaction. Never raises for a database that is away."""
        try:
            swept = self._transaction()
        except DATABASE_AWAY as error:
            self._calm_until = self._monotonic() + self._timers.startup_grace
            log.warning("sweep_without_database", error=type(error).__name__)
            return Swept(startup_grace=True)
        for kind in swept.notified:
            self._notifier.notify(kind)
        return swept

    def _transaction(self) -> Swept:
        startup_grace = self._monotonic() < self._calm_until
        with self._database.write() as session:
            ledger = Ledger(session, self._timers)
            if not ledger.may_sweep():
                return Swept(startup_grace=startup_grace)
            states = [] if startup_grace else [_write_off(ledger, *held) for held in ledger.lost()]
            if not startup_grace:
                ledger.close_orphaned_attempts()
                ledger.forget_workers(_FORGET_WORKERS_AFTER_S)
            requeued = states.count(JobState.QUEUED)
            found_room = self._go_on_with_room(ledger)
            return Swept(
                requeued, len(states) - requeued, found_room, tuple(ledger.due_for_notification()), startup_grace
            )

    def _go_on_with_room(self, ledger: Ledger) -> int:
        if self._free_bytes is None:
            return 0
        try:
            free = self._free_bytes()
        except OSError as error:  # the disk is broken or missing: whether there is room is unknown
            log.warning("free_space_unknown", error=str(error))
            return 0
        found = ledger.resume_when_disk_frees(free - ROOM_TO_SPARE)
        for job_id in found:
            log.info("job_has_room_again", job_id=job_id, free_bytes=free)
        return len(found)


def _write_off(ledger: Ledger, job_id: str, attempt: int) -> JobState | None:
    state = ledger.close(job_id, attempt, Outcome.LOST, failure=WORKER_LOST)
    log.warning("lease_lost", job_id=job_id, attempt=attempt, state=state)
    return state
