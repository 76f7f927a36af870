"""Which other programs hold a GPU's memory, as far as its driver reports them."""

import os
import subprocess
from pathlib import PurePath
from typing import Final

import torch

from worker.engine.errors import MemoryHolder

_ASK: Final = ("nvidia-smi", "--query-compute-apps=pid,used_memory,name", "--format=csv,noheader,nounits")
_ASK_TIMEOUT_S: Final = 10.0
_NAMED: Final = 3
"""So many are named, those that hold the most."""


def holders_of(device: torch.device) -> tuple[MemoryHolder, ...]:
    """The programs that hold most of a GPU's memory, ourselves excepted; none where the driver does not report them.

    In a container the driver reports no program outside of it.
    """
    try:
        answer = subprocess.run(
            (*_ASK, f"--id={_id_of(device)}"), capture_output=True, text=True, check=True, timeout=_ASK_TIMEOUT_S
        ).stdout
    except (OSError, subprocess.SubprocessError, RuntimeError):
        return ()
    return holders_in(answer, but_not=os.getpid())


def holders_in(answer: str, *, but_not: int) -> tuple[MemoryHolder, ...]:
    """The programs in the output of ``nvidia-smi``, one a line, the largest first."""
    found = [_holder(line) for line in answer.splitlines()]
    others = [holder for holder in found if holder is not None and holder.pid != but_not]
    return tuple(sorted(others, key=lambda holder: -holder.mebibytes)[:_NAMED])


def _holder(line: str) -> MemoryHolder | None:
    pid, _, rest = line.partition(",")
    mebibytes, _, path = rest.partition(",")
    try:
        return MemoryHolder(int(pid), int(mebibytes), PurePath(path.strip()).name or "a program")
    except ValueError:  # the driver doesn't report how much, or prints a sentence instead of a list
        return None


def _id_of(device: torch.device) -> str:
    """By which the driver knows a card, however programs are made to count them."""
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"
