"""The process that works with a finished model: ``python -m worker.checkpoint_worker JOB ATTEMPT PARENT``."""

import faulthandler
import signal
import sys
from collections.abc import Sequence

from worker.parent_death import end_with_parent


def main(arguments: Sequence[str]) -> int:
    """Do the work; the exit code."""
    job_id, attempt, parent = arguments[0], int(arguments[1]), int(arguments[2])
    end_with_parent(parent)
    faulthandler.register(signal.SIGQUIT, all_threads=True)

    from backend import log
    from backend.settings import load
    from worker.jobs.checkpoint_job import checkpoint_job
    from worker.stop_signals import SignalStop

    log.configure()
    return checkpoint_job(load(), job_id, attempt, SignalStop(parent))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
