"""The queue in words: what is ahead of a run, what it waits for, and on which devices runs train."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from sqlalchemy.orm import Session

from backend.ledger.job import CLAIMED, Desired, JobKind, JobState, Worker
from backend.ledger.queries import Jobs
from backend.ledger.sweep import ROOM_TO_SPARE
from backend.tables.ledger import JobRow, WorkerRow
from backend.training.forecast.durations import eta_words, range_words
from backend.training.forecast.forecast import Forecast
from backend.training.repository import RunRecord, RunRepository

_MOST: Final = 3
_ALIVE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Before:
    """Trainings that come before another.

    Attributes:
        runs: the first few as (id, name with its dataset, time in words or nothing).
        more: how many come besides.
    """

    runs: tuple[tuple[str, str, str], ...]
    more: int


def ahead_in_queue(session: Session, position: int | None = None) -> Before:
    """What is under way, and what waits before a ``position`` in the queue; all that waits for a new run."""
    runs = RunRepository(session)
    positions = Jobs(session).queue_positions(JobKind.TRAIN)
    waiting = runs.records(limit=100, states=[JobState.QUEUED]) if positions else []
    ahead = [record for record in waiting if position is None or positions.get(record.job.id, position) < position]
    ahead.sort(key=lambda record: positions.get(record.job.id, 0))
    found = [*runs.records(limit=20, states=CLAIMED), *ahead]
    return Before(tuple(map(_words, found[:_MOST])), max(0, len(found) - _MOST))


def _words(record: RunRecord) -> tuple[str, str, str]:
    return record.run.id, f"{record.dataset_name}, {record.run.name}", _time(record)


def _time(record: RunRecord) -> str:
    if JobState(record.job.state).is_claimed:
        return f"{eta_words(record.run.eta_s)} left" if record.run.eta_s is not None else "running"
    said = Forecast(**record.run.forecast) if record.run.forecast else None
    if said is None or said.seconds_low is None or said.seconds_high is None:
        return "time unknown"
    return range_words(said.seconds_low, said.seconds_high)


_MB: Final = 1e6


@dataclass(frozen=True, slots=True)
class Waiting:
    """``code`` is one of: turn, device-busy, device-resting, no-worker, no-gpu, next-try, disk-full, starting."""

    code: str
    message: str


class WaitReasons:
    """Answers for any number of runs at one moment; asks about workers once, and only if somebody waits."""

    def __init__(self, session: Session) -> None:
        self._session, self._jobs = session, Jobs(session)

    def waits_for(self, job: JobRow, position: int | None) -> Waiting | None:
        """What the run of a job waits for; None where it doesn't. ``position``: in the queue."""
        if job.state == JobState.PAUSED and job.desired != Desired.PAUSE and job.waits_for_bytes is not None:
            needed = math.ceil((job.waits_for_bytes + ROOM_TO_SPARE) / _MB)
            return Waiting("disk-full", f"The disk is full; training continues once about {needed:,} MB are free.")
        if job.state != JobState.QUEUED:
            return None
        if (seconds := self._jobs.seconds_until_due(job.id)) > 0:
            return Waiting("next-try", f"The next attempt starts in {math.ceil(seconds)} s.")
        return self._for_a_device(job, position or 1)

    def _for_a_device(self, job: JobRow, position: int) -> Waiting:
        if not self._workers:
            return Waiting("no-worker", "No worker is running, so nothing can start.")
        able = [row for row in self._workers if job.device in Worker(row.id, row.host, row.device).can_do]
        if not able:
            return Waiting("no-gpu", "This run needs a GPU, and no worker with a GPU is running.")
        fit = [row for row in able if row.id not in self._resting]
        if not fit:
            return Waiting(
                "device-resting", f"{_device_words(able[0])} failed twice in a row and is not used for some minutes."
            )
        if position > 1:
            return Waiting("turn", f"Runs ahead in the queue: {position - 1}.")
        if any(self._holder(row) is None for row in fit):
            return Waiting("starting", "A worker starts it in a moment.")
        return Waiting("device-busy", self._busy_words(fit[0]))

    @cached_property
    def _workers(self) -> list[WorkerRow]:
        return [row for row in self._jobs.workers(_ALIVE_S) if JobKind.TRAIN in row.kinds.split(",")]

    @cached_property
    def _resting(self) -> set[str]:
        return self._jobs.quarantined(_ALIVE_S)

    def _holder(self, row: WorkerRow) -> JobRow | None:
        return self._jobs.holder_of(row.host, row.device) if row.device else None

    def _busy_words(self, row: WorkerRow) -> str:
        holder = self._holder(row)
        record = RunRepository(self._session).record(holder.subject_id) if holder else None
        busy_with = f"“{record.run.name}”" if record else "the learning-rate finder"
        return f"{_device_words(row)} is busy with {busy_with}."


def _device_words(row: WorkerRow) -> str:
    kind, _, number = (row.device or "cpu").partition(":")
    return f"GPU {number or 0}" if kind == "cuda" else "The processor"


def trainers_in_words(session: Session) -> list[str]:
    """What runs will train on: the devices of the workers that are alive, in words."""
    rows = Jobs(session).workers(_ALIVE_S)
    return sorted(
        {device_words(row.device_name or row.device) for row in rows if JobKind.TRAIN in row.kinds.split(",")}
    )


def device_words(device: str | None) -> str:
    """A device as people call it."""
    if device is None or device.startswith("cpu"):
        return "the processor"
    return "the graphics card" if device.startswith("cuda") else device
