"""Take the next job: one transaction, which may lose a race and then simply has nothing."""

from sqlalchemy.exc import IntegrityError

from backend.db.session import Database
from backend.ledger.job import Claim, JobKind, Worker
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.ledger.timers import Timers


def claim_next(database: Database, kind: JobKind, worker: Worker, timers: Timers) -> Claim | None:
    """The job that has waited longest, now held by ``worker``; None where there is nothing for it to do."""
    with database.read() as session:
        # Most notifications come too late to matter, and a read costs far less than a write transaction.
        if not Jobs(session).has_waiting(kind, 0.0, worker):
            return None
    try:
        with database.write() as session:
            return Ledger(session, timers).claim(kind, worker)
    except IntegrityError:
        # Another worker opened an attempt on the same device between our read and our claim.
        return None
