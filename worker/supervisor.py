"""Claim a job, start the process that does it, and watch over it until it is over.

The process is the only one of its group, made for this job: it can be stopped, killed
and started anew without anything else of the worker noticing, and its end gives back
all that it used. This side renews the lease, reads what the owner wants, passes that
on, and writes down how it ended.
"""

import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from typing import Final

import structlog

from backend.datasets.blobs import forget_archives
from backend.db.session import DATABASE_AWAY, is_locked
from backend.ledger.claiming import claim_next
from backend.ledger.job import (
    LISTENED,
    NO_ROOM,
    STALLED,
    TRAINER_CRASHED,
    Claim,
    Desired,
    Failure,
    JobKind,
    JobState,
    LostLease,
    Outcome,
    Signs,
)
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.ledger.unit_of_work import NoNotifier, unit_of_work
from worker import exits
from worker.hardware import out_of_memory_kills
from worker.identity import WorkerContext
from worker.logfile import LogFile, attempt_logs

log = structlog.get_logger()

_LOOK_S: Final = 0.1
_STUCK: Final = "stuck"
_IGNORED_STOP: Final = "did_not_stop"


def run_waiting_jobs(context: WorkerContext, listener: JobKind, *, goes_on: bool = False) -> int:
    """Do the waiting jobs of a listener's kinds, one after the other, the urgent kinds first; how many were done.

    Safe to call any number of times at once: whoever finds nothing to claim returns. A caller that ``goes_on`` to
    listen keeps a process ready for the next training.
    """
    done = 0
    while not context.identity.is_draining:
        try:
            claim = _claim_next(context, listener)
        except DATABASE_AWAY as error:
            log.warning("claim_without_database", error=type(error).__name__)
            return done
        if claim is None:
            return done
        Supervision(context, claim).run()
        done += 1
        if goes_on and claim.kind.needs_device and context.settings.standby:
            context.standby.refill()
    return done


def _claim_next(context: WorkerContext, listener: JobKind) -> Claim | None:
    identity = context.identity
    for kind in LISTENED[listener]:
        if kind in context.settings.left_undone:
            continue
        if claim := claim_next(context.database, kind, identity.worker(kind), identity.timers):
            return claim
    return None


class Supervision:
    """One attempt at one job."""

    def __init__(self, context: WorkerContext, claim: Claim) -> None:
        self._context, self._claim, self._timers = context, claim, context.identity.timers
        self._log = log.bind(job_id=claim.job_id, attempt=claim.attempt)
        self._file = LogFile(attempt_logs(context.settings.data) / f"{claim.job_id}-{claim.attempt}.log")
        self._renewed_at = self._looked_at = time.monotonic()
        self._stop_asked_at: float | None = None
        self._kill_reason: str | None = None
        self._is_suspended = self._was_told_to_finish = False
        self._signs = Signs(None, None)
        self._kills_before = out_of_memory_kills()
        self._signs_at = self._renewed_at

    def run(self) -> JobState | None:
        """Start, watch, write down; the job's new state, None where another attempt has it.

        Whatever goes wrong with the supervision itself, the process doesn't outlive it: it would use the device
        unwatched while the next attempt starts there.
        """
        try:
            self._process = self._start()
        except OSError as error:  # no log file, or no more processes on this machine
            self._log.error("attempt_not_started", error=str(error))
            return self._close(exits.NOT_STARTED)
        try:
            self._note_pid()
            exit_code = self._watch()
        except BaseException:
            self._log.exception("supervision_failed")
            self._signal_group(signal.SIGKILL)
            self._close(self._process.wait())
            raise
        self._log.info("attempt_ended", exit_code=exit_code, killed_for=self._kill_reason)
        state = self._close(exit_code)
        self._clear_up(state)
        return state

    def _start(self) -> subprocess.Popen[bytes]:
        claim, identity = self._claim, self._context.identity
        arguments = [claim.job_id, str(claim.attempt), str(os.getpid())]
        if len(claim.devices) > 1:
            arguments.append(",".join(claim.devices))
        environment = identity.environment(claim)
        with self._file.open() as file:
            process = None
            if claim.kind is JobKind.TRAIN and len(claim.devices) <= 1:
                process = self._context.standby.take(arguments, environment, self._file.path)
            is_ready = process is not None
            process = process or subprocess.Popen(
                [*identity.command(claim.kind), *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self._log.info("attempt_started", kind=claim.kind, pid=process.pid, devices=claim.devices, was_ready=is_ready)
        return process

    def _note_pid(self) -> None:
        with suppress(*DATABASE_AWAY), self._context.database.write() as session:
            Ledger(session).note_pid(self._claim.job_id, self._claim.attempt, self._process.pid)

    def _watch(self) -> int:
        while not self._is_over():
            if time.monotonic() - self._looked_at >= self._timers.flags:
                self._looked_at = time.monotonic()
                self._look()
                self._file.cap()
            time.sleep(min(_LOOK_S, self._timers.flags))
        # Before its number is given back to the system: whatever it started goes with it.
        self._signal_group(signal.SIGKILL)
        return self._process.wait()

    def _is_over(self) -> bool:
        """Whether the process has ended; leaves it to be collected."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _look(self) -> None:
        try:
            wanted = self._ask_ledger()
        except LostLease:
            self._stop_if_overtaken()
        except DATABASE_AWAY as error:
            self._suspend(error)
        else:
            self._go_on()
            must_stop = wanted in (Desired.PAUSE, Desired.CANCEL) or self._context.identity.is_draining
            if must_stop or self._is_in_the_way():
                self._ask_to_stop()
            elif wanted is Desired.FINISH:
                self._ask_to_finish()
        if self._stop_asked_at is not None and time.monotonic() - self._stop_asked_at > self._timers.kill_grace:
            self._kill(_IGNORED_STOP)

    def _ask_ledger(self) -> Desired:
        """Renew the lease if it is time; what the owner wants.

        Raises:
            LostLease: another attempt has the job, or it has ended.
        """
        claim, is_due = self._claim, time.monotonic() - self._renewed_at >= self._timers.heartbeat
        if is_due:
            with self._context.database.write() as session:
                wanted = Ledger(session, self._timers).renew(claim.job_id, claim.attempt)
            self._renewed_at = time.monotonic()
        else:
            with self._context.database.read() as session:
                wanted = Jobs(session).wanted(claim)
        self._kill_if_stuck()
        return wanted

    def _is_in_the_way(self) -> bool:
        """Whether something more urgent waits for the device."""
        kind, identity = self._claim.kind, self._context.identity
        if not kind.makes_way_for or self._stop_asked_at is not None:
            return False
        with suppress(*DATABASE_AWAY), self._context.database.read() as session:
            jobs = Jobs(session)
            more_urgent = (one for one in kind.makes_way_for if one not in self._context.settings.left_undone)
            if any(jobs.has_ready(one, identity.worker(one)) for one in more_urgent):
                return True
            return kind is JobKind.HEATMAPS and jobs.is_open(JobKind.IMPORT)
        return False

    def _stop_if_overtaken(self) -> None:
        """Kill at once where another attempt has the job or may have it; else the process is on its way out."""
        with suppress(*DATABASE_AWAY), self._context.database.read() as session:
            job = Jobs(session).state_of(self._claim)
            if job is None or job is JobState.QUEUED:
                self._kill("overtaken")
            elif self._stop_asked_at is None:
                self._stop_asked_at = time.monotonic()

    def _suspend(self, error: Exception) -> None:
        """Without a lease another worker may begin: suspend the process, keep its memory, and end it after long."""
        # Progress couldn't have been recorded either.
        self._signs_at = time.monotonic()
        silent_s = time.monotonic() - self._renewed_at
        if silent_s > self._timers.give_up:
            self._kill("no_database")
        elif silent_s > self._timers.suspend and not self._is_suspended:
            self._log.warning("attempt_suspended", error=type(error).__name__, without_lease_s=round(silent_s))
            self._is_suspended = True
            self._signal_group(signal.SIGSTOP)
        elif self._is_suspended and is_locked(error):
            self._let_it_finish_its_write()

    def _let_it_finish_its_write(self) -> None:
        """Whoever is suspended in the middle of a write keeps its lock, and nobody else can write, us included."""
        self._signal_group(signal.SIGCONT)
        time.sleep(self._timers.flags)
        self._signal_group(signal.SIGSTOP)

    def _go_on(self) -> None:
        if self._is_suspended:
            self._log.info("attempt_resumed")
            self._is_suspended = False
            self._signal_group(signal.SIGCONT)

    def _ask_to_stop(self) -> None:
        """SIGTERM to the process itself: its helpers are its own to end, after the step that they serve."""
        if self._stop_asked_at is None:
            self._log.info("attempt_asked_to_stop")
            self._stop_asked_at = time.monotonic()
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)

    def _ask_to_finish(self) -> None:
        """SIGUSR1, but only to a process that has got so far as to know what that means: others would die of it."""
        if self._was_told_to_finish:
            return
        with suppress(*DATABASE_AWAY), self._context.database.read() as session:
            if Jobs(session).state_of(self._claim) is not JobState.RUNNING:
                return
            self._was_told_to_finish = True
            self._log.info("attempt_asked_to_finish")
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGUSR1)

    def _kill_if_stuck(self) -> None:
        """A process that shows no progress for long is asked where it stands, for the log, and then ended.

        Timed by our own clock from the moment at which we saw the last sign: a machine that slept, or a
        database that was away, doesn't count as being stuck.
        """
        with self._context.database.read() as session:
            signs = Jobs(session).signs_of(self._claim)
        if signs.progress_at != self._signs.progress_at:
            self._signs_at = time.monotonic()
        self._signs = signs
        if time.monotonic() - self._signs_at > max(self._timers.stall, signs.stall_after_s or 0.0):
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGQUIT)
            time.sleep(self._timers.stack_dump_wait)
            self._kill(_STUCK)

    def _kill(self, reason: str) -> None:
        if self._kill_reason is None:
            self._log.warning("attempt_killed", reason=reason)
            self._kill_reason = reason
        self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        # Its number is its group's: it was started as the leader of a session.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _close(self, exit_code: int) -> JobState | None:
        """Write down how it ended; while the database is away, try until the lease has run out anyway."""
        deadline = time.monotonic() + self._timers.lease
        while True:
            try:
                with self._context.database.write() as session:
                    return self._write_down(Ledger(session, self._timers), exit_code)
            except DATABASE_AWAY as error:
                self._log.warning("close_without_database", error=type(error).__name__)
                if time.monotonic() > deadline or self._context.identity.is_draining:
                    return None
                time.sleep(min(1.0, self._timers.flags))

    def _write_down(self, ledger: Ledger, exit_code: int) -> JobState | None:
        job_id, attempt = self._claim.job_id, self._claim.attempt
        if exit_code == exits.NO_ROOM:
            # Where it could still write, it has recorded this itself, with the number of bytes.
            with suppress(LostLease):
                ledger.pause_for_room(job_id, attempt, NO_ROOM, needed_bytes=0)
        state = ledger.close(
            job_id, attempt, self._outcome_of(exit_code), exit_code=exit_code, failure=self._failure_of(exit_code)
        )
        if exit_code == exits.DEVICE_FAILED and ledger.note_device_failure(job_id, attempt):
            self._log.warning(
                "device_quarantined", device=self._context.identity.device, seconds=self._timers.quarantined
            )
        return state

    def _outcome_of(self, exit_code: int) -> Outcome:
        """How it ended; a process that ended by our own request to stop, even before it handled it, has yielded."""
        outcome = exits.outcome_of(exit_code)
        asked_by_us = self._stop_asked_at is not None and self._kill_reason in (None, _IGNORED_STOP)
        return Outcome.YIELDED if outcome is Outcome.CRASHED and asked_by_us else outcome

    def _failure_of(self, exit_code: int) -> Failure:
        if self._kill_reason == _STUCK:
            return STALLED
        if self._kill_reason is not None:
            return TRAINER_CRASHED
        return exits.failure_of(exit_code, memory_ran_out=self._memory_ran_out())

    def _memory_ran_out(self) -> bool | None:
        """Whether the system has killed processes for memory since this attempt began; None where it doesn't count."""
        now = out_of_memory_kills()
        return None if now is None or self._kills_before is None else now > self._kills_before

    def _clear_up(self, state: JobState | None) -> None:
        if state is JobState.QUEUED and self._context.identity.is_draining:
            # Another worker need not wait for the sweep.
            self._context.notifier.notify(self._claim.kind)
        if not self._is_at_its_end():
            return
        if self._claim.kind is JobKind.TRAIN:
            shutil.rmtree(self._context.storage.folder("states", self._claim.subject_id), ignore_errors=True)
        elif self._claim.kind is JobKind.IMPORT:
            with suppress(*DATABASE_AWAY):
                forget_archives(lambda: unit_of_work(self._context.database, NoNotifier()), self._context.storage)

    def _is_at_its_end(self) -> bool:
        with suppress(*DATABASE_AWAY), self._context.database.read() as session:
            state = Jobs(session).state_of(self._claim)
            return state is not None and state.is_final
        return False
