"""All SQL over measured speeds."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from backend.domain.ids import new_id
from backend.tables.training import SpeedRow
from backend.training.forecast.speeds import Speed
from backend.training.forecast.work import Work

_KEPT: Final = 500
"""Rows of a machine that are looked at; older ones go."""


class Speeds:
    """What was measured, by machine."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, machine: str, speeds: Iterable[Speed]) -> None:
        """Keep what was measured on a machine, in order."""
        for speed in speeds:
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

    def knows(self, machine: str) -> bool:
        """Whether anything was measured on this machine."""
        return self._session.scalar(select(SpeedRow.id).where(SpeedRow.machine == machine).limit(1)) is not None

    def latest(self, device: str) -> list[Speed]:
        """What was measured on the machine that last worked with that kind of device, the latest first."""
        newest = select(SpeedRow.machine).where(SpeedRow.device == device).order_by(SpeedRow.id.desc()).limit(1)
        query = select(SpeedRow).where(SpeedRow.machine == newest.scalar_subquery())
        rows = self._session.scalars(query.order_by(SpeedRow.id.desc()).limit(_KEPT))
        return [
            Speed(Work(row.work), row.architecture, row.image_size, row.amount, row.seconds, row.run_id) for row in rows
        ]

    def forget_old(self, machine: str) -> None:
        """Drop what is too old to be looked at."""
        kept = select(SpeedRow.id).where(SpeedRow.machine == machine).order_by(SpeedRow.id.desc()).limit(_KEPT)
        ids = list(self._session.scalars(kept))
        if len(ids) == _KEPT:
            self._session.execute(delete(SpeedRow).where(SpeedRow.machine == machine, SpeedRow.id < ids[-1]))
