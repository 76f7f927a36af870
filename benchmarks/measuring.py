"""What each measured process reports about itself.

Nothing but the standard library: fastai's process has another interpreter than ours.
"""

import importlib.metadata
import json
import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from backend.domain.json import Json

_KIBIBYTE: Final = 1024
_PACKAGES: Final = ("torch", "torchvision", "timm", "fastai", "openvino", "onnxruntime", "numpy", "pillow")


def peak_memory() -> int:
    """Peak memory of this process plus that of its largest child process, in bytes."""
    parts = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(parts) * (1 if sys.platform == "darwin" else _KIBIBYTE)


def processor_seconds() -> float:
    """Processor time, user and system, of this process, its finished children and its running workers."""
    running = multiprocessing.active_children()
    return sum(os.times()[:4]) + sum(_of_process(child.pid) for child in running if child.pid is not None)


def _of_process(pid: int) -> float:
    """Processor time of a running process, in seconds; 0 where the system has no /proc or the process has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return 0.0
    # After the name in brackets: state is field 3, user time 14, system time 15.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Stopwatch:
    """Wall-clock and processor seconds since it was created, without pauses, and the result of every epoch.

    Attributes:
        epochs: stage, wall-clock seconds, processor seconds, error rate and loss of each validated epoch.
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, Json]] = []
        self.is_paused = False
        self._begun = self._now()

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), processor_seconds()

    @property
    def elapsed(self) -> tuple[float, float]:
        """Wall-clock seconds and processor seconds."""
        clock, processor = self._now()
        return clock - self._begun[0], processor - self._begun[1]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside the block is not counted."""
        before = self._now()
        self.is_paused = True
        yield
        self.is_paused = False
        clock, processor = (after - then for after, then in zip(self._now(), before, strict=True))
        self._begun = self._begun[0] + clock, self._begun[1] + processor

    def validated(self, stage: int, error_rate: float, loss: float) -> None:
        """Record the result of an epoch."""
        clock, processor = self.elapsed
        self.epochs.append(
            {
                "stage": stage,
                "seconds": round(clock, 3),
                "processor_seconds": round(processor, 3),
                "error_rate": round(error_rate, 5),
                "loss": round(loss, 5),
            }
        )

    @property
    def errors(self) -> list[list[float]]:
        """Error rate after every epoch of every stage."""
        stages = sorted({int(epoch["stage"]) for epoch in self.epochs})
        return [[epoch["error_rate"] for epoch in self.epochs if epoch["stage"] == stage] for stage in stages]


def versions() -> dict[str, str]:
    """Installed versions of the packages that decide speed and error."""
    found = {"python": ".".join(str(part) for part in sys.version_info[:3])}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def load_average() -> float:
    """Processes that were running or waiting for a processor, averaged over the last minute."""
    return round(os.getloadavg()[0], 2)


def read(file: Path) -> Json:
    """A JSON file's content."""
    return json.loads(file.read_text("utf-8"))


def write(file: Path, content: Any) -> None:  # Any: as above
    """Write a JSON file, so that a kill leaves the old content or the new."""
    write_text(file, json.dumps(content, indent=1) + "\n")


def write_text(file: Path, text: str) -> None:
    """Write a file, so that a kill leaves the old content or the new."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(text, "utf-8")
    partial.replace(file)
