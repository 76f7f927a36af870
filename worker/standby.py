"""A process that has loaded what a training needs and waits for one: the training begins at once, not after seconds.

It does one training, like any other process of a trainer, and ends with whoever started it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

import psutil
import structlog

log = structlog.get_logger()

WAIT: Final = "--wait"
_NEEDS_BYTES: Final = 3 << 30
"""Memory that must be available: the process takes half a gigabyte, and a training must still find room."""


class Standby:
    """At most one waiting process.

    Args:
        module: what it runs, given ``WAIT`` and the process that it is to end with.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._waiting: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that waits; None where none does."""
        return None if self._waiting is None or self._waiting.poll() is not None else self._waiting.pid

    def refill(self) -> None:
        """Start a process that waits, unless one does or there is little memory."""
        if self.pid is not None:
            return
        self.close()
        if psutil.virtual_memory().available < _NEEDS_BYTES:
            return
        try:
            self._waiting = subprocess.Popen(
                [sys.executable, "-m", self._module, WAIT, str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:  # no more processes or memory: trainings start their own
            log.warning("standby_not_started", error=str(error))

    def take(
        self, arguments: Sequence[str], environment: Mapping[str, str], output: Path
    ) -> "subprocess.Popen[bytes] | None":
        """The waiting process, which does the job from now on; None where none waits.

        Args:
            arguments: as on its command line.
            output: the file that gets what it prints, at its end.
        """
        if self.pid is None:
            self.close()
            return None
        process, self._waiting = self._waiting, None
        assert process is not None
        order = {"arguments": [*arguments], "environment": dict(environment), "output": str(output)}
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.close()
        except OSError:  # it has just ended
            _end(process)
            return None
        return process

    def close(self) -> None:
        """End the waiting process."""
        process, self._waiting = self._waiting, None
        if process is not None:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    assert process.stdin is not None
    with suppress(OSError):  # an order that it didn't take
        process.stdin.close()


def wait_for_order(stdin: IO[str]) -> list[str] | None:
    """In the waiting process: be what the order says; its arguments. None where nobody wants anything any more."""
    line = stdin.readline()
    if not line:
        return None
    order = json.loads(line)
    os.environ.clear()
    os.environ.update(order["environment"])
    descriptor = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    return list(order["arguments"])
