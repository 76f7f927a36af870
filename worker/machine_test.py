"""The process that tests this machine: ``python -m worker.machine_test DEVICE PARENT``.

Started by a worker on a machine that wasn't tested for a day, so that even the first
training there has a forecast.
"""

import os
import sys
from collections.abc import Sequence

from worker.parent_death import end_with_parent


def main(arguments: Sequence[str]) -> int:
    """Test the machine and keep what was measured; the exit code."""
    device, parent = arguments[0], int(arguments[1])
    # Before anything else is even imported, torch above all: nothing of us outlives the worker.
    end_with_parent(parent)
    os.nice(5)

    from backend import log
    from backend.db.session import Database
    from backend.settings import load
    from backend.training.forecast.measurements import keep_speeds
    from worker.hardware import machine
    from worker.speed_test import measured

    log.configure()
    speeds = measured("cpu" if device.startswith("cpu") else device)
    with Database(load().sql_url).write() as session:
        keep_speeds(session, machine(device), speeds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
