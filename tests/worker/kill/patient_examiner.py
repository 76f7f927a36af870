"""An examiner that looks at pictures until it is asked to stop; its second attempt finds nothing left to do."""

import sys
import time

from backend.db.session import Database
from backend.ledger.repository import Ledger
from backend.settings import load
from worker import exits
from worker.parent_death import end_with_parent
from worker.stop_signals import SignalStop


def main(job_id: str, attempt: int, parent: int) -> int:
    """Pretend to look."""
    end_with_parent(parent)
    stop = SignalStop(parent)
    database = Database(load().sql_url)
    with database.write() as session:
        Ledger(session).begin(job_id, attempt)
        if attempt > 1:
            Ledger(session).finish(job_id, attempt)
            return exits.DONE
    while not stop.requested():
        time.sleep(0.05)
    return exits.YIELDED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
