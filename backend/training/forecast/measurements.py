"""Keep how fast trainings go on a machine, for the forecasts of later ones there."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from backend.training.forecast.speed_repository import Speeds
from backend.training.forecast.speeds import Speed

_TESTED_AGAIN_AFTER: Final = timedelta(days=1)


def keep_speeds(session: Session, machine: str, speeds: Iterable[Speed]) -> None:
    """Keep what was measured on a machine, in order; the oldest of many measurements go."""
    Speeds(session).add(machine, speeds)


def needs_test(session: Session, machine: str) -> bool:
    """Whether a machine was never tested, or not for a day: a test that was disturbed must not count for ever."""
    tested_at = Speeds(session).tested_at(machine)
    return tested_at is None or datetime.now(UTC) - tested_at > _TESTED_AGAIN_AFTER
