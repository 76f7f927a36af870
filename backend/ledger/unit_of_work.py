"""The ledger's face: ask for a job; the doorbell rings once the transaction has committed.

A ring carries nothing and may be lost, doubled or late: the ledger's sweep rings again.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from backend.db.session import Database, WriteSession
from backend.domain.ids import JobId
from backend.ledger.job import JobKind
from backend.ledger.repository import Ledger


class Doorbell(Protocol):
    """Tells workers to look at the ledger. Never raises: a broker that is down costs only time."""

    def notify(self, kind: JobKind) -> None:
        """Wake the workers that take jobs of this kind."""


class NoDoorbell:
    """For where workers look at the ledger by themselves."""

    def notify(self, kind: JobKind) -> None:
        """Do nothing."""


@dataclass(slots=True)
class UnitOfWork:
    """One transaction and the rings that leave when it has committed."""

    session: WriteSession
    notifications: list[JobKind] = field(default_factory=list)

    def enqueue(
        self,
        kind: JobKind,
        subject_id: str,
        *,
        asked_by: str | None = None,
        device: str = "auto",
        memory_bytes: int | None = None,
    ) -> JobId:
        """Add a job to the ledger and remember to ring for it; the words are those of ``JobRow``."""
        job_id = Ledger(self.session).add(kind, subject_id, asked_by=asked_by, device=device, memory_bytes=memory_bytes)
        self.notify_for(kind)
        return job_id

    def notify_for(self, kind: JobKind) -> None:
        """Remember to ring for a job that waits (again)."""
        self.notifications.append(kind)


@contextmanager
def unit_of_work(database: Database, doorbell: Doorbell) -> Iterator[UnitOfWork]:
    """Commit at the end of the block, then ring; on an exception neither."""
    with database.write() as session:
        unit = UnitOfWork(session)
        yield unit
    for kind in dict.fromkeys(unit.notifications):
        doorbell.notify(kind)


OpenUnit = Callable[[], AbstractContextManager[UnitOfWork]]
"""For use cases that take several short transactions, such as an upload."""
