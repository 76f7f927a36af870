"""Who is before a training in the line, and how long that takes."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from backend.ledger.job import CLAIMED, JobKind, JobState
from backend.ledger.repository import Jobs
from backend.training.forecast import Forecast
from backend.training.repository import RunRecord, RunRepository
from backend.training.time_words import eta_words, range_words

_MOST: Final = 3


@dataclass(frozen=True, slots=True)
class Before:
    """Trainings that come before another.

    Attributes:
        runs: the first few as (id, name with its dataset, time in words or nothing).
        more: how many come besides.
    """

    runs: tuple[tuple[str, str, str], ...]
    more: int


def before_in_line(session: Session, place: int | None = None) -> Before:
    """What is under way, and what waits before a ``place`` in the line; all that waits for a new one."""
    runs = RunRepository(session)
    places = Jobs(session).places_in_line(JobKind.TRAIN)
    waiting = runs.records(limit=100, states=[JobState.QUEUED]) if places else []
    ahead = [record for record in waiting if place is None or places.get(record.job.id, place) < place]
    ahead.sort(key=lambda record: places.get(record.job.id, 0))
    found = [*runs.records(limit=20, states=CLAIMED), *ahead]
    return Before(tuple(map(_words, found[:_MOST])), max(0, len(found) - _MOST))


def _words(record: RunRecord) -> tuple[str, str, str]:
    return record.run.id, f"{record.dataset_name}, {record.run.name}", _time(record)


def _time(record: RunRecord) -> str:
    if JobState(record.job.state).is_claimed:
        return f"{eta_words(record.run.eta_s)} left" if record.run.eta_s is not None else "under way"
    said = Forecast(**record.run.forecast) if record.run.forecast else None
    if said is None or said.seconds_low is None or said.seconds_high is None:
        return "time not known"
    return range_words(said.seconds_low, said.seconds_high)
