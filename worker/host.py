"""A worker on a machine: restarts its listeners, sweeps, and polls the ledger where no notification arrives.

The host does no job and holds none; when it is killed, all that it started ends with it,
and the ledger gives the jobs to another.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final

import structlog

from backend.children import Child, end_all
from backend.db.session import DATABASE_AWAY
from backend.ledger.job import LISTENED, JobKind, MachineState
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.ledger.sweep import Sweeper
from backend.training.forecast.measurements import needs_test
from backend.version import version
from worker.hardware import device_name, machine, memory_of
from worker.identity import WorkerContext
from worker.logfile import attempt_logs
from worker.processors import LoadMeter, processors

log = structlog.get_logger()

GRACE_S: Final = 110.0
HURRIED_S: Final = 5.0
TEST_AFTER_S: Final = 8.0
"""After its start a worker has other things to do, and may be needed at once."""
TIDY_AFTER_S: Final = 20.0
TIDY_EVERY_S: Final = 3600.0
_MISSED_TOO_OFTEN: Final = 3
_SLEEP_S: Final = 0.1
_TITLE_OF: Final = {JobKind.TRAIN: "The listener for trainings", JobKind.IMPORT: "The listener for imports"}


class Host:
    """One worker."""

    def __init__(self, context: WorkerContext, environment: Mapping[str, str]) -> None:
        self._context, self._identity, self._timers = context, context.identity, context.identity.timers
        self._environment = environment
        self._device_name = device_name(context.identity.device)
        self._has_broker = context.settings.redis_url is not None
        self._stops = 0
        self._hurried_at: float | None = None
        self._leaving = threading.Event()
        self._kinds = [kind for kind in JobKind if kind not in context.settings.left_undone]
        self._listeners = {kind: self._child(kind) for kind in LISTENED} if self._has_broker else {}
        self._pollers: dict[JobKind, Child] = {}
        self._missed = dict.fromkeys(LISTENED, 0)
        self._heartbeat_at = self._looked_at = float("-inf")
        self._began = time.monotonic()
        self._tidied_at = self._began - TIDY_EVERY_S + TIDY_AFTER_S
        self._load = LoadMeter()
        self._test: Child | None = None

    def run(self) -> int:
        """Work until asked to end; the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        Path(self._identity.drain_flag).unlink(missing_ok=True)
        log.info(
            "worker_started",
            worker_id=self._identity.worker_id,
            device=self._identity.device,
            has_broker=self._has_broker,
        )
        sweeper = Sweeper(
            self._context.database, self._context.notifier, self._timers, free_bytes=self._context.storage.free_bytes
        )
        threading.Thread(target=sweeper.run, args=(self._leaving,), name="sweep", daemon=True).start()
        for listener in self._listeners.values():
            listener.start()
        while not self._stops:
            self._work_once()
            self._rest()
        self._leaving.set()
        self._leave()
        return 0

    def _work_once(self) -> None:
        # Listeners are started by this thread and no other: a child lives as long as the thread that made it.
        for listener in self._listeners.values():
            listener.look_after(log.warning)
        try:
            self._send_heartbeat()
            self._look_at_ledger()
            self._tidy()
            self._test_machine()
        except DATABASE_AWAY as error:
            log.warning("worker_without_database", error=type(error).__name__)

    def _look_at_ledger(self) -> None:
        if time.monotonic() - self._looked_at < self._timers.poll:
            return
        self._looked_at = time.monotonic()
        for listener in LISTENED:
            self._take_without_notification(listener)

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied_at >= TIDY_EVERY_S:
            self._tidied_at = time.monotonic()
            # Here: most of a second of loading, which a worker that has just started has no time for.
            from worker.housekeeping import clear_leftovers

            try:
                clear_leftovers(
                    self._context.database,
                    self._context.storage,
                    attempt_logs(self._context.settings.data),
                    self._context.settings.features_folder,
                )
            except OSError as error:  # another worker was faster, or the disk is ill: there is another time
                log.warning("leftovers_stay", error=str(error))

    def _test_machine(self) -> None:
        """Test the machine once, if it wasn't tested lately, while nothing is trained: forecasts rest on it."""
        if self._test is not None:
            _ = self._test.exit_code  # asking collects a process that has ended
            return
        if time.monotonic() - self._began < TEST_AFTER_S:
            return
        with self._context.database.read() as session:
            if any(Jobs(session).is_busy(self._identity.worker_id, kind) for kind in LISTENED[JobKind.TRAIN]):
                return
            is_wanted = needs_test(session, machine(self._identity.device))
        command = (sys.executable, "-m", "worker.machine_test", self._identity.device, str(os.getpid()))
        self._test = Child("The test of this machine", command, self._environment)
        if is_wanted:
            self._test.start()

    def _send_heartbeat(self) -> None:
        if time.monotonic() - self._heartbeat_at < self._timers.heartbeat:
            return
        # Asking a card takes time: not within the transaction.
        state = MachineState(memory_of(self._identity.device), processors(), self._load.other_threads())
        with self._context.database.write() as session:
            Ledger(session).heartbeat(
                self._identity.worker(JobKind.TRAIN), self._kinds, self._device_name, version(), state
            )
        self._heartbeat_at = time.monotonic()

    def _take_without_notification(self, listener: JobKind) -> None:
        """Without a broker, every waiting job; with one, those whose notification didn't arrive."""
        poller = self._pollers.get(listener)
        if poller is not None and poller.is_running:
            return
        waited_s = self._timers.missed_notification if self._has_broker else 0.0
        kinds = [kind for kind in LISTENED[listener] if kind in self._kinds]
        with self._context.database.read() as session:
            jobs, worker_id = Jobs(session), self._identity.worker_id
            is_waiting = any(jobs.has_waiting(kind, waited_s, self._identity.worker(kind)) for kind in kinds)
            if not is_waiting or any(jobs.is_busy(worker_id, kind) for kind in kinds):
                return
        if self._has_broker:
            self._note_missed(listener)
        self._pollers[listener] = self._child(listener, "--once")
        self._pollers[listener].start()

    def _note_missed(self, kind: JobKind) -> None:
        """A listener that is connected and receives nothing any more is restarted (celery#10302)."""
        self._missed[kind] += 1
        log.warning("notification_missed", kind=kind, times=self._missed[kind])
        if self._missed[kind] % _MISSED_TOO_OFTEN == 0:
            self._listeners[kind].kill()

    def _child(self, kind: JobKind, *options: str) -> Child:
        command = (sys.executable, "-m", "worker.listener", kind.value, self._identity.to_json(), *options)
        return Child(_TITLE_OF[kind], command, self._environment)

    def _rest(self) -> None:
        """Until the next look, or the first signal."""
        until = time.monotonic() + min(self._timers.poll, 0.5)
        while not self._stops and time.monotonic() < until:
            time.sleep(_SLEEP_S)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        # In a signal's handler nothing may wait for a lock, not even for an event's own: this very thread may hold it.
        self._stops += 1
        with suppress(OSError):
            Path(self._identity.drain_flag).touch()

    def _should_hurry(self) -> bool:
        """Whether a second signal came, and some seconds ago."""
        if self._stops > 1 and self._hurried_at is None:
            self._hurried_at = time.monotonic()
        return self._hurried_at is not None and time.monotonic() - self._hurried_at > HURRIED_S

    def _leave(self) -> None:
        """Let every training reach the end of its step and give it back; the second signal hurries."""
        log.info("worker_leaving", worker_id=self._identity.worker_id)
        if self._test is not None and self._test.is_running:
            self._test.kill()
        children = [*self._listeners.values(), *self._pollers.values()]
        end_all(children, grace_s=GRACE_S, hurry=self._should_hurry)
        with suppress(*DATABASE_AWAY), self._context.database.write() as session:
            Ledger(session).remove_worker(self._identity.worker_id)
        Path(self._identity.drain_flag).unlink(missing_ok=True)
        log.info("worker_left", worker_id=self._identity.worker_id)
