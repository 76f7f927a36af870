"""The processes that ``tellapart serve`` starts: watched, started again when they die, and ended with it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

WAITS_S: Final = (0.0, 1.0, 2.0, 5.0, 15.0, 30.0)
"""Before the first, second, … start in a row of a process that doesn't stay."""
LIVED_WELL_S: Final = 60.0
"""After that time a process counts as having worked."""
EXIT_CAUSED_BY_USER: Final = 2
"""A process that ends so has said what its user must change; starting it again wouldn't help."""


@dataclass(slots=True)
class Child:
    """One process and its successors.

    Attributes:
        title: what people call it, such as "The web server".
        pass_fds: open files that it inherits.
        output: open file for what it writes; None: where we write.
        folder: in which it runs; None: in ours.
    """

    title: str
    command: Sequence[str]
    environment: Mapping[str, str]
    pass_fds: Sequence[int] = ()
    output: int | None = None
    folder: Path | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _started_at: float = field(default=0.0, init=False)
    _starts_at: float | None = field(default=None, init=False)
    _deaths: int = field(default=0, init=False)

    def start(self) -> None:
        """Start the process, in a session of its own: only we answer to Ctrl-C, and end it in our order."""
        self._starts_at = None
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(
            [*_ending_with_us(), *self.command],
            env=dict(self.environment),
            pass_fds=self.pass_fds,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
            start_new_session=True,
        )

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return None if self._process is None else self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Of the process that ran last; negative is the number of the signal that killed it."""
        return None if self._process is None else self._process.poll()

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and self._process.poll() is None

    @property
    def was_started(self) -> bool:
        """Whether there has been a process at all."""
        return self._process is not None

    @property
    def was_refused(self) -> bool:
        """Whether it ended because of something that its user must change."""
        return self.exit_code == EXIT_CAUSED_BY_USER

    def look_after(self, say: Callable[[str], None]) -> None:
        """Notice a death, say so in words, and start a successor once its time has come. To be called often."""
        if self.is_running:
            return
        if self._starts_at is None:
            self._plan_successor(say)
        if self._starts_at is not None and time.monotonic() >= self._starts_at:
            self.start()

    def _plan_successor(self, say: Callable[[str], None]) -> None:
        self.kill()
        lived_s = time.monotonic() - self._started_at
        self._deaths = 1 if lived_s > LIVED_WELL_S else self._deaths + 1
        wait_s = WAITS_S[min(self._deaths, len(WAITS_S)) - 1]
        self._starts_at = time.monotonic() + wait_s
        when = "now" if wait_s == 0 else f"in {wait_s:.0f} s"
        say(f"{self.title} stopped ({describe_exit(self.exit_code)}). It starts again {when}.")

    def ask_to_end(self) -> None:
        """Send SIGTERM: finish what can't be cut, then end."""
        if self._process is not None and self.is_running:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now, with all that it started in its group, even where it is gone itself."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def end_all(children: Sequence[Child], *, grace_s: float, hurry: Callable[[], bool]) -> None:
    """Ask all to end, wait at most ``grace_s`` seconds or until ``hurry`` says so, and kill who is left."""
    for child in children:
        child.ask_to_end()
    deadline = time.monotonic() + grace_s
    while any(child.is_running for child in children) and time.monotonic() < deadline and not hurry():
        time.sleep(0.05)
    for child in children:
        child.kill()


def describe_exit(code: int | None) -> str:
    """How a process ended, in words."""
    if code is None:
        return "it never ran"
    if code >= 0:
        return f"exit code {code}"
    return f"killed by signal {-code}" + (", most likely because memory ran out" if code == -signal.SIGKILL else "")


def _ending_with_us() -> list[str]:
    """A program that has the system end it with us, so that a kill -9 of ours leaves no process running, and then
    becomes the command that follows. Linux only; in the child itself, as a ``preexec_fn`` is unsafe with threads.
    """
    return [sys.executable, "-m", "worker.parent_death", str(os.getpid())] if sys.platform.startswith("linux") else []
