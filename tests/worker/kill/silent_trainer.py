"""A trainer that begins, and then makes one step that never ends; it does ends when it is asked to."""

import sys
import time

from backend.db.session import Database
from backend.ledger.queries import Jobs
from backend.ledger.repository import Ledger
from backend.settings import load
from worker import exits
from worker.parent_death import end_with_parent
from worker.stop_signals import SignalStop


def main(job_id: str, attempt: int, parent: int) -> int:
    """Pretend to be at a long step."""
    end_with_parent(parent)
    database, stop = Database(load().sql_url), SignalStop(parent)
    with database.write() as session:
        if Jobs(session).claim_of(job_id, attempt) is None:
            return exits.LOST
        Ledger(session).begin(job_id, attempt)
    while not stop.requested():
        time.sleep(0.05)
    return exits.YIELDED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
