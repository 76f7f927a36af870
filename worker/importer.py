"""The process that does one import: ``python -m worker.importer JOB ATTEMPT PARENT``."""

import faulthandler
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from worker.parent_death import end_with_parent

NICENESS: Final = 5
"""Importing, and the decoding processes that it starts, step back for the web server: bytes that arrive and pages come
first. With processors to spare it makes no difference."""


def main(arguments: Sequence[str]) -> int:
    """Do the import; the exit code."""
    job_id, attempt, parent = arguments[0], int(arguments[1]), int(arguments[2])
    end_with_parent(parent)
    os.nice(NICENESS)
    faulthandler.register(signal.SIGQUIT, all_threads=True)

    from backend import log
    from backend.settings import load
    from worker.jobs.import_job import import_job
    from worker.stop_signals import SignalStop

    log.configure()
    return import_job(load(), job_id, attempt, SignalStop(parent))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
