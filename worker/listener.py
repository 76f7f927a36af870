"""A child of the worker's host: listens for notifications of one kind of job, or checks the ledger once.

``python -m worker.listener KIND POST [--once]``; the host is the one who starts it.
"""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Final

from worker.parent_death import end_with_parent

_AT_ONCE: Final = {"train": 1, "import": 2}


def main(arguments: Sequence[str]) -> int:
    """Listen until stopped; the exit code."""
    end_with_parent(os.getppid())

    from backend import log
    from backend.ledger.job import JobKind
    from backend.settings import load
    from worker.identity import WorkerIdentity, open_context

    log.configure()
    kind, identity, settings = JobKind(arguments[0]), WorkerIdentity.from_json(arguments[1]), load()
    if "--once" in arguments:
        from worker.supervisor import run_waiting_jobs

        run_waiting_jobs(open_context(identity, settings), kind)
        return 0

    from celery.platforms import SecurityWarning

    from backend.ledger.celery_notifier import QUEUE_OF
    from worker.celery_app import make_app

    options = [
        *("--queues", QUEUE_OF[kind]),
        *("--concurrency", str(_AT_ONCE[kind])),
        *("--hostname", f"{kind}-{identity.worker_id}@{identity.host}"),
        *("--loglevel", "WARNING"),
        "--without-gossip",
        "--without-mingle",
    ]
    # It warns of root because messages could carry code; ours are JSON, and carry nothing.
    warnings.simplefilter("ignore", SecurityWarning)
    make_app(settings, identity).worker_main(["--quiet", "worker", *options])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
