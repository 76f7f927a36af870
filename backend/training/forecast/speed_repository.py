"""All SQL over measured speeds."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from backend.domain.ids import new_id
from backend.tables.training import SpeedRow
from backend.training.forecast.speeds import Speed
from backend.training.forecast.work import Work

KEPT: Final = 30
"""Measurements of one kind of work with one network that a machine keeps; older ones go."""
KEPT_OF_A_RUN: Final = 5
"""Of these, so many of one run at most, so that a long one doesn't displace all others."""


class Speeds:
    """What was measured, by machine."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, machine: str, speeds: Iterable[Speed]) -> None:
        """Keep what was measured on a machine, in order, and drop what is too old to be looked at."""
        added = list(speeds)
        if any(speed.run_id is None for speed in added):
            # A test replaces the one before it, which may have been disturbed.
            self._session.execute(delete(SpeedRow).where(SpeedRow.machine == machine, SpeedRow.run_id.is_(None)))
        for speed in added:
            self._session.add(
                SpeedRow(
                    id=new_id(),
                    machine=machine,
                    device=machine.partition(":")[0],
                    work=speed.work,
                    architecture=speed.architecture,
                    image_size=speed.size,
                    amount=speed.amount,
                    seconds=speed.seconds,
                    run_id=speed.run_id,
                )
            )
        self._session.flush()
        for work, architecture in sorted({(speed.work, speed.architecture or "") for speed in added}):
            self._forget_old(machine, work, architecture or None)

    def tested_at(self, machine: str) -> datetime | None:
        """When this machine was last tested; None if never."""
        return self._session.scalar(
            select(func.max(SpeedRow.created_at)).where(SpeedRow.machine == machine, SpeedRow.run_id.is_(None))
        )

    def latest(self, device: str) -> list[Speed]:
        """What was measured on the machine that last worked with that kind of device, the latest first."""
        newest = select(SpeedRow.machine).where(SpeedRow.device == device).order_by(SpeedRow.id.desc()).limit(1)
        query = select(SpeedRow).where(SpeedRow.machine == newest.scalar_subquery())
        rows = self._session.scalars(query.order_by(SpeedRow.id.desc()))
        return [
            Speed(Work(row.work), row.architecture, row.image_size, row.amount, row.seconds, row.run_id) for row in rows
        ]

    def _forget_old(self, machine: str, work: Work, architecture: str | None) -> None:
        """Drop the oldest measurements of one kind of work with one network; tests of the machine stay."""
        of_kind = (SpeedRow.machine == machine, SpeedRow.work == work, SpeedRow.architecture == architecture)
        rows = self._session.execute(
            select(SpeedRow.id, SpeedRow.run_id)
            .where(*of_kind, SpeedRow.run_id.is_not(None))
            .order_by(SpeedRow.id.desc())
        ).all()
        of_run: Counter[str | None] = Counter()
        kept: set[str] = set()
        for row_id, run_id in rows:
            of_run[run_id] += 1
            if of_run[run_id] <= KEPT_OF_A_RUN and len(kept) < KEPT:
                kept.add(row_id)
        old = [row_id for row_id, _ in rows if row_id not in kept]
        if old:
            self._session.execute(delete(SpeedRow).where(SpeedRow.id.in_(old)))
