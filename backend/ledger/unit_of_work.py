"""One transaction that may queue jobs; workers are notified once it has committed.

A notification carries nothing and may be lost, doubled or late: the ledger's sweep notifies again.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from backend.db.session import Database, WriteSession
from backend.domain.ids import JobId
from backend.ledger.job import JobKind
from backend.ledger.repository import Ledger


class JobNotifier(Protocol):
    """Notifies workers to check the ledger. Never raises: a broker that is down costs only time."""

    def notify(self, kind: JobKind) -> None:
        """Notify the workers that take jobs of this kind."""


class NoNotifier:
    """For where workers poll the ledger."""

    def notify(self, kind: JobKind) -> None:
        """Do nothing."""


@dataclass(slots=True)
class UnitOfWork:
    """One transaction and the notifications that are sent when it has committed."""

    session: WriteSession
    notifications: list[JobKind] = field(default_factory=list)

    def enqueue(
        self,
        kind: JobKind,
        subject_id: str,
        *,
        asked_by: str | None = None,
        device: str = "auto",
        devices: int | None = 1,
        memory_bytes: int | None = None,
    ) -> JobId:
        """Add a job to the ledger and remember to notify for it; arguments are columns of ``JobRow``."""
        job_id = Ledger(self.session).add(
            kind, subject_id, asked_by=asked_by, device=device, devices=devices, memory_bytes=memory_bytes
        )
        self.notify_for(kind)
        return job_id

    def notify_for(self, kind: JobKind) -> None:
        """Remember to notify for a job that waits (again)."""
        self.notifications.append(kind)


@contextmanager
def unit_of_work(database: Database, notifier: JobNotifier) -> Iterator[UnitOfWork]:
    """Commit at the end of the block, then notify; on an exception neither."""
    with database.write() as session:
        unit = UnitOfWork(session)
        yield unit
    for kind in dict.fromkeys(unit.notifications):
        notifier.notify(kind)


OpenUnit = Callable[[], AbstractContextManager[UnitOfWork]]
"""For use cases that take several short transactions, such as an upload."""
