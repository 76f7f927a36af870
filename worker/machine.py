"""What this machine is called when its speed is written down; found without torch."""

import os
import platform
from pathlib import Path
from typing import Final

from worker.here import device_name

_CPUINFO: Final = Path("/proc/cpuinfo")
_LONGEST: Final = 200


def machine(device: str) -> str:
    """Kind of device, then its model: ``cpu: AMD EPYC, 2 cores``.

    Not the host's name, as a container has a new one each time.
    """
    if device.startswith("cuda"):
        return f"cuda: {device_name(device) or device}"[:_LONGEST]
    return f"cpu: {_processor()}, {_cores()} cores"[:_LONGEST]


def _processor() -> str:
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
