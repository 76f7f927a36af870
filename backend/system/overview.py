"""The server at a glance: version, workers, devices, queue, disk."""

from datetime import datetime
from typing import Final

from backend.db.session import ReadSession
from backend.storage.base import Storage
from backend.system.repository import SystemRepository
from backend.system.schemas import Device, Disk, Overview, QueueDepth, Worker
from backend.tables.ledger import WorkerRow
from backend.version import version

REMEMBERED_S: Final = 24 * 3600.0
"""A worker that was silent for longer isn't worth naming any more."""
GONE_AFTER_S: Final = 60.0


def overview(session: ReadSession, storage: Storage) -> Overview:
    """Version, workers and their devices, what waits, and the room that is left."""
    counts = SystemRepository(session)
    now = counts.now()
    workers = [_worker(row, now) for row in counts.workers(REMEMBERED_S)]
    devices = {(worker.device, worker.device_name or worker.device, worker.host) for worker in workers if worker.alive}
    return Overview(
        version=version(),
        devices=[Device(device=d, name=name or d, host=host) for d, name, host in sorted(devices, key=str) if d],
        workers=workers,
        queue=[
            QueueDepth(kind=kind, waiting=waiting.jobs, oldest_waits_s=waiting.oldest_s)
            for kind, waiting in counts.waiting().items()
        ],
        disk=Disk(free_bytes=storage.free_bytes()),
    )


def _worker(row: WorkerRow, now: datetime) -> Worker:
    silent_s = max(0.0, (now - row.last_heartbeat_at).total_seconds())
    return Worker(
        id=row.id,
        host=row.host,
        kinds=[kind.strip() for kind in row.kinds.split(",")],
        device=row.device,
        device_name=row.device_name,
        version=row.version,
        seconds_since_heartbeat=round(silent_s, 1),
        alive=silent_s <= GONE_AFTER_S,
    )
