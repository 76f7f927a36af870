"""The hardware of a run, its attempts, and since when there has been no news of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from backend.domain.training import RunStatus
from backend.ledger.clock import database_now
from backend.ledger.job import Outcome
from backend.ledger.queries import Jobs
from backend.tables.ledger import JobAttemptRow, JobRow, WorkerRow
from backend.training.find import find_run
from backend.training.forecast.durations import range_words
from backend.training.forecast.forecast import HEARD_WITHIN_S, Forecast
from backend.training.run_view import RunView

_WORTH_A_WORD_S: Final = 40.0
_GIGABYTE: Final = 1e9
_SLOWED_FROM: Final = 0.25
"""So many threads of other programs for each processor make a training clearly longer."""
_OUTCOMES: Final = {
    Outcome.DONE.value: "done",
    Outcome.FAILED.value: "failed",
    Outcome.CANCELLED.value: "cancelled",
    Outcome.PAUSED.value: "paused",
    Outcome.YIELDED.value: "stopped for a restart of its worker",
    Outcome.LOST.value: "lost contact with its worker",
    Outcome.DEVICE_FAILED.value: "the graphics card failed",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """Facts about the hardware of a run, as (label, words).

    Attributes:
        tries: its attempts in words, where there was more than one.
        interruption: that it was interrupted, where its owner didn't ask for that; else empty.
    """

    facts: tuple[tuple[str, str], ...]
    tries: tuple[str, ...]
    interruption: str


def machine_of(session: Session, run: RunView) -> Machine:
    """What is known of it."""
    row = find_run(session, run.id)
    jobs = Jobs(session)
    attempts = jobs.attempts(row.job_id)
    facts: list[tuple[str, str]] = []
    if attempts:
        facts.append(("Worker", f"{attempts[-1].worker_id} on {attempts[-1].host}"))
        workers = {one.id: one for one in jobs.workers(HEARD_WITHIN_S)}
        worker = workers.get(attempts[-1].worker_id)
        facts += _devices(jobs, attempts[-1], list(workers.values()))
        if worker is not None and worker.memory_bytes and worker.memory_free_bytes is not None:
            free, whole = (size / _GIGABYTE for size in (worker.memory_free_bytes, worker.memory_bytes))
            facts.append(("Memory free now", f"{free:.1f} of {whole:.1f} GB"))
        if worker is not None and _is_slowed(worker):
            busy = min(worker.other_threads or 0.0, worker.processors or 0)
            facts.append(("Other programs", f"keep {busy:.1f} of {worker.processors} processors busy"))
    if row.forecast is not None:
        facts += _said(Forecast(**row.forecast))
    tries = [
        f"Attempt {one.number} on {one.host}: "
        f"{_OUTCOMES.get(one.outcome or '', 'interrupted') if one.ended_at else 'running'}"
        for one in attempts
    ]
    return Machine(tuple(facts), tuple(tries) if len(tries) > 1 else (), _interruption(attempts))


def is_slowed(session: Session, run: RunView) -> bool:
    """Whether other programs use the processors of the machine on which it runs now."""
    jobs = Jobs(session)
    attempts = jobs.attempts(find_run(session, run.id).job_id)
    workers = {one.id: one for one in jobs.workers(HEARD_WITHIN_S)}
    return bool(attempts) and attempts[-1].worker_id in workers and _is_slowed(workers[attempts[-1].worker_id])


def _is_slowed(worker: WorkerRow) -> bool:
    return bool(worker.processors) and (worker.other_threads or 0.0) >= _SLOWED_FROM * (worker.processors or 1)


def _devices(jobs: Jobs, attempt: JobAttemptRow, workers: Sequence[WorkerRow]) -> list[tuple[str, str]]:
    """The devices of an attempt as their makers call them; several with the name by which programs know each."""
    names = {one.device: one.device_name for one in workers if one.host == attempt.host and one.device_name}
    used = jobs.devices_of(attempt.id)
    if len(used) > 1:
        return [("Devices", ", ".join(f"{names[one]} ({one})" if one in names else one for one in used))]
    return [("Device", name) for one in used if (name := names.get(one))]


def _interruption(attempts: Sequence[JobAttemptRow]) -> str:
    if len(attempts) < 2 or attempts[-2].outcome == Outcome.PAUSED:
        return ""
    if attempts[-2].outcome == Outcome.YIELDED:
        return "Resumed after a restart of the worker. Nothing was lost."
    return f"Resumed after an interruption; this is attempt {attempts[-1].number}. Nothing that was saved is lost."


def silence(session: Session, run: RunView) -> str:
    """``No news for 50 s; checking.``; empty while there is news, and of a run that isn't under way."""
    if run.status is not RunStatus.RUNNING:
        return ""
    job = session.get_one(JobRow, find_run(session, run.id).job_id)
    now = session.execute(database_now().select()).scalar_one()
    return silence_words(now, job.last_heartbeat_at, job.last_progress_at or job.started_at, _goes_on_from(run))


def silence_words(now: datetime, heard_at: datetime | None, news_at: datetime | None, goes_on_from: str) -> str:
    """What to say of a run whose worker was heard of, and which got further, at these times."""
    if heard_at is not None and (gone := (now - heard_at).total_seconds()) >= _WORTH_A_WORD_S:
        return f"The worker stopped answering {gone:.0f} s ago. Training resumes from {goes_on_from} once it is back."
    if news_at is not None and (quiet := (now - news_at).total_seconds()) >= _WORTH_A_WORD_S:
        return f"No news for {quiet:.0f} s; checking. The worker is alive and progress is saved."
    return ""


def _goes_on_from(run: RunView) -> str:
    return "the beginning" if not run.epoch and not run.stage else f"stage {(run.stage or 0) + 1}, epoch {run.epoch}"


def _said(said: Forecast) -> list[tuple[str, str]]:
    facts = []
    if said.memory_bytes:
        facts.append(("Memory needed", f"about {said.memory_bytes / _GIGABYTE:.1f} GB"))
    if said.seconds_low is not None and said.seconds_high is not None:
        facts.append(("Estimated time", range_words(said.seconds_low, said.seconds_high)))
    facts.append(("Estimated from", said.basis))
    return facts
