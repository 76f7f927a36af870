"""One training on several devices: torchrun's agent starts a process on each, and this one ends as they do.

The agent is used as ``python -m torch.distributed.run --standalone`` does, but within this process: so the exit code
that an attempt has agreed with its supervisor is kept, requests to stop reach every process, and none outlives this
one. The processes meet in a file, and nothing listens on the network.
"""

import logging
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import active_children
from pathlib import Path
from shutil import rmtree
from types import FrameType
from typing import Final

import structlog

from worker.stop_signals import REQUESTS

log = structlog.get_logger()

_LOOK_S: Final = 0.1
_SHUTDOWN_S: Final = 10
"""Between asking the other processes to end, after one has failed, and killing them."""
_CRASHED: Final = 1


def launch(job_id: str, attempt: int, devices: Sequence[str], folder: Path) -> int:
    """Do a training on these devices; the exit code. What the processes leave in ``folder`` is removed.

    Where a process was ended by a signal, this one is as well.
    """
    _forward_requests()

    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from worker.engine.hardware.devices import known_devices
    from worker.rank import run_rank

    # Another worker may see more of this host than we do.
    devices = [device for device in devices if device in known_devices()]
    # Most ends of a process are no errors to us, and those that are it has written down itself.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=len(devices),
        run_id=f"{job_id}-{attempt}",
        rdzv_backend="c10d",
        rdzv_endpoint=str(folder / "agent"),
        rdzv_configs={"store_type": "file"},
        local_addr="localhost",
        # The ledger gives a job its next attempt, with the devices that are idle then.
        max_restarts=0,
        signals_to_handle="SIGINT",
        shutdown_timeout=_SHUTDOWN_S,
        logs_specs=DefaultLogsSpecs(log_dir=str(folder)),
    )
    try:
        codes = elastic_launch(config, run_rank)(job_id, attempt, os.getpid(), tuple(devices), str(folder / "ranks"))
    except ChildFailedError as error:
        ((rank, failure),) = error.failures.items()
        log.info("process_ended", rank=rank, pid=failure.pid, exit_code=failure.exitcode)
        return _ended_as(failure.exitcode)
    finally:
        rmtree(folder, ignore_errors=True)
    # The first process has none where it lost another one, which then has one.
    return _CRASHED if codes[0] is None else int(codes[0])


def _forward_requests() -> None:
    """Pass requests on to every process of the training, to those that start later as well."""
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    # A thread that was there before may still receive one, and for all others they wait. Processes that are started
    # inherit that, so that none is ended by a request before it is ready for it.
    for number in REQUESTS:
        signal.signal(number, note)
    signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)
    threading.Thread(target=_forward, args=(asked,), name="requests", daemon=True).start()


def _forward(asked: list[int]) -> None:
    passed: set[tuple[int, int]] = set()
    while True:
        if received := signal.sigtimedwait(REQUESTS, _LOOK_S):
            asked.append(received.si_signo)
        for child in active_children():
            for index, number in enumerate(asked):
                if child.pid is not None and (child.pid, index) not in passed:
                    passed.add((child.pid, index))
                    with suppress(ProcessLookupError):
                        os.kill(child.pid, number)


def _ended_as(exit_code: int) -> int:
    """The exit code of the process that failed; does not return where that was ended by a signal."""
    if exit_code >= 0:
        return exit_code
    number = signal.Signals(-exit_code)
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    return _CRASHED
