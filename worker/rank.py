"""One process of a training on several devices. The first one, of rank 0, alone uses the ledger and reports."""

import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, NoReturn

import torch

from backend import log
from backend.domain.errors import AppError
from backend.domain.events import Event
from backend.settings import load
from worker import exits
from worker.engine.order import Stopped, TrainingOrder
from worker.engine.parallel.joined import joined
from worker.engine.parallel.ranks import PeerLost, Ranks
from worker.engine.recipe import train
from worker.jobs.recording import is_device_failure
from worker.jobs.train_job import train_job
from worker.parent_death import end_with_parent
from worker.stop_signals import REQUESTS, SignalStop

_CRASHED: Final = 1


def run_rank(job_id: str, attempt: int, launcher: int, devices: Sequence[str], meeting: str) -> int | None:
    """Do the part of the process whose rank torchrun has put into the environment.

    Returns:
        0 in the first process, None in the others, and in the first one if it lost another, which then has failed.
        Where the attempt ends with another exit code, the process ends with it.
    """
    end_with_parent(launcher)
    faulthandler.register(signal.SIGQUIT, all_threads=True)
    log.configure()
    stop = SignalStop(launcher)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, REQUESTS)
    rank, size = int(os.environ["RANK"]), len(devices)
    # Only processes of this machine meet, so nothing of it need be reachable from others.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    torch.set_num_threads(max(1, torch.get_num_threads() // size))
    try:
        with joined(_device(devices[rank]), init_method=f"file://{meeting}", rank=rank, size=size) as ranks:
            code = train_job(load(), job_id, attempt, stop, ranks) if rank == 0 else _help(devices[rank], stop, ranks)
            if code:
                _end_at_once(code)
            # The agent ends all once one has failed: whoever is done must not wait to be killed.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            return code
    except PeerLost:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return None
    except Exception:  # the end of this process, as it would be of one that trains alone
        traceback.print_exc()
        _end_at_once(_CRASHED)


def _device(name: str) -> torch.device:
    return torch.device(name if name.startswith("cuda") else "cpu")


def _help(device: str, stop: SignalStop, ranks: Ranks) -> int | None:
    """Do a share of the first process's order; its exit code, None unless its device failed."""
    # What stops or refuses the training is known to the first one, which records it.
    with suppress(Stopped, AppError):
        order = ranks.from_first(_no_order)
        try:
            train(replace(order, device=device), on_event=_ignore, stop=stop, ranks=ranks)
        except RuntimeError as error:
            if not is_device_failure(error):
                raise
            traceback.print_exc()
            return exits.DEVICE_FAILED
    return None


def _no_order() -> TrainingOrder:
    raise AssertionError("only the first process has the order")


def _ignore(event: Event) -> None:
    pass


def _end_at_once(code: int) -> NoReturn:
    """End the process, and with it its connections: another one may wait for it where it is not looked for.

    Putting things away in order would ask a device that may be broken.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
