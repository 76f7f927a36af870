"""The process that looks at a dataset's new pictures: ``python -m worker.examiner JOB ATTEMPT PARENT``."""

import faulthandler
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from worker.parent_death import end_with_parent

_BEHIND_ALL: Final = 10


def main(arguments: Sequence[str]) -> int:
    """Look at the pictures; the exit code."""
    job_id, attempt, parent = arguments[0], int(arguments[1]), int(arguments[2])
    end_with_parent(parent)
    faulthandler.register(signal.SIGQUIT, all_threads=True)
    # Nobody waits for it: uploads, imports and pages come first.
    os.nice(_BEHIND_ALL)

    from backend import log
    from backend.settings import load
    from worker.jobs.examine_job import examine_job
    from worker.stop_signals import SignalStop

    log.configure()
    return examine_job(load(), job_id, attempt, SignalStop(parent))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
