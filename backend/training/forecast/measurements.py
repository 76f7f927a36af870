"""Keep how fast trainings go on a machine, for the forecasts of later ones there."""

from collections.abc import Iterable

from sqlalchemy.orm import Session

from backend.training.forecast.speed_repository import Speeds
from backend.training.forecast.speeds import Speed


def keep_speeds(session: Session, machine: str, speeds: Iterable[Speed]) -> None:
    """Keep what was measured on a machine, in order; the oldest of many measurements go."""
    Speeds(session).add(machine, speeds)


def is_measured(session: Session, machine: str) -> bool:
    """Whether anything was ever measured on a machine."""
    return Speeds(session).knows(machine)
