"""Which devices an attempt uses: its worker's own, and those of idle workers on the same host where nobody waits."""

from typing import Final

from sqlalchemy import exists, insert, not_, or_, select, update
from sqlalchemy.orm import Session

from backend.domain.ids import new_id
from backend.ledger.clock import database_now
from backend.ledger.job import JobKind, Worker
from backend.ledger.queue_order import is_ready, is_used
from backend.ledger.timers import Timers
from backend.tables.ledger import AttemptDeviceRow, JobAttemptRow, WorkerRow

PROCESSOR: Final = "cpu"
"""The device of each process where several share a processor; of that there is one."""


def devices_for(session: Session, kind: JobKind, worker: Worker, most: int | None, timers: Timers) -> tuple[str, ...]:
    """The devices of a job that ``worker`` has just taken, where they are several; empty is its worker's own alone.

    ``most`` is how many it may use; None is as many as are idle. A processor is shared only where that was asked for:
    its cores work on one process as well.
    """
    if worker.device is None or most == 1:
        return ()
    if not worker.device.startswith("cuda"):
        return (PROCESSOR,) * (most or 0)
    if session.scalar(select(exists().where(is_ready(kind)))):
        return ()
    idle = (
        select(WorkerRow.device)
        .where(
            WorkerRow.host == worker.host,
            WorkerRow.id != worker.id,
            WorkerRow.device != worker.device,
            WorkerRow.device.like("cuda:%"),
            WorkerRow.kinds.contains(kind.value),
            WorkerRow.last_heartbeat_at > database_now(-timers.lease),
            or_(WorkerRow.quarantined_until.is_(None), WorkerRow.quarantined_until <= database_now()),
            not_(is_used(WorkerRow.host, WorkerRow.device)),
        )
        .order_by(WorkerRow.device)
    )
    others = [device for device in dict.fromkeys(session.scalars(idle)) if device is not None]
    found = (worker.device, *others[: None if most is None else most - 1])
    return found if len(found) > 1 else ()


def note_devices(session: Session, attempt_id: str, worker: Worker, devices: tuple[str, ...]) -> None:
    """Note which devices an attempt uses from now on: its worker's own, and the others.

    Raises:
        IntegrityError: another attempt uses one of them.
    """
    if worker.device is None:
        return
    for device in {worker.device, *(one for one in devices if one != PROCESSOR)}:
        session.execute(
            insert(AttemptDeviceRow).values(id=new_id(), attempt_id=attempt_id, host=worker.host, device=device)
        )


def release_devices(session: Session) -> None:
    """Free the devices of attempts that are over."""
    over = exists().where(JobAttemptRow.id == AttemptDeviceRow.attempt_id, JobAttemptRow.ended_at.is_not(None))
    session.execute(
        update(AttemptDeviceRow).where(AttemptDeviceRow.released_at.is_(None), over).values(released_at=database_now()),
        execution_options={"synchronize_session": False},
    )
