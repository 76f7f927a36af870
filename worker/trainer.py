"""The process that does one training: ``python -m worker.trainer JOB ATTEMPT PARENT [DEVICES]``.

Reads its order from the ledger, runs the engine, records its events, and ends with
an exit code of ``worker.exits``. Given several devices, such as ``cuda:0,cuda:1``, it has a process on each do so.
With ``--wait PARENT`` it loads what it needs and waits for these arguments (``worker.standby``).
"""

import faulthandler
import os
import signal
import sys
from collections.abc import Sequence

from worker.parent_death import end_with_parent
from worker.standby import WAIT, wait_for_order


def main(arguments: Sequence[str]) -> int:
    """Do the training; the exit code."""
    if arguments[0] == WAIT:
        end_with_parent(int(arguments[1]))
        return _wait()
    job_id, attempt, parent, devices = arguments[0], int(arguments[1]), int(arguments[2]), arguments[3:]
    # Before anything else is even imported, torch above all: nothing of us outlives the supervisor.
    end_with_parent(parent)
    faulthandler.register(signal.SIGQUIT, all_threads=True)

    if devices and "," in devices[0]:
        from backend.settings import load
        from worker.launcher import launch

        return launch(job_id, attempt, devices[0].split(","), load().data / "run" / f"ranks-{job_id}")

    from backend import log
    from backend.settings import load
    from worker import exits
    from worker.jobs.train_job import train_job
    from worker.stop_signals import SignalStop

    log.configure()
    code = train_job(load(), job_id, attempt, SignalStop(parent))
    if code == exits.DEVICE_FAILED:
        # Putting things away in order would ask the broken device, and end the process with another code.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _wait() -> int:
    import worker.jobs.train_job
    import worker.stop_signals  # noqa: F401  # both are loaded by the training
    from worker.engine.warm_up import warm_up

    warm_up()
    arguments = wait_for_order(sys.stdin)
    return 0 if arguments is None else main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
