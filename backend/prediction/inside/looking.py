"""Looks inside networks that are under way: each in a process of its own with torch, one at a time.

A process, because the web process doesn't import torch, and because only a process can be ended at once, comes after
everything else for the machine and gives its memory back. As a job of a worker it would wait behind trainings, for a
page that somebody is looking at.
"""

import json
import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import structlog

from backend.children import Child, describe_exit
from backend.domain.inside import FAILURE_FILE, ORDER_FILE, PROGRESS_FILE
from backend.storage.local import write_file

log = structlog.get_logger()

Activity = Literal["waiting", "computing"]
_LOOK_EVERY_S: Final = 0.1


@dataclass(slots=True)
class _Look:
    """One that was asked for; ``folder`` holds its order."""

    folder: Path
    activity: Activity = "waiting"
    is_over: bool = False
    child: Child | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Looks:
    """Those of this process, by the folder that their result will be in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._looks: dict[Path, tuple[_Look, threading.Thread]] = {}

    def activity(self, folder: Path) -> Activity | None:
        """What is under way for a folder; None where nothing is."""
        with self._lock:
            known = self._looks.get(folder)
        return None if known is None or known[0].is_over else known[0].activity

    def start(self, folder: Path) -> None:
        """Do what the order in a folder says, unless that is under way."""
        with self._lock:
            if (known := self._looks.get(folder)) is not None and not known[0].is_over:
                return
            look = _Look(folder)
            # As a daemon, so that a server that is stopped waits for none. It starts the process itself, and lives as
            # long as that: Linux ends a process with the thread that started it.
            thread = threading.Thread(target=self._run, args=(look,), name="inside", daemon=True)
            self._looks = {place: one for place, one in self._looks.items() if not one[0].is_over}
            self._looks[folder] = (look, thread)
            thread.start()

    def cancel(self, folder: Path) -> None:
        """End what is under way for a folder, and forget that it was asked for."""
        with self._lock:
            known = self._looks.get(folder)
        if known is not None:
            _end(known[0])
        (folder / ORDER_FILE).unlink(missing_ok=True)

    def end_all(self) -> None:
        """End what is under way, as the server is stopping; orders stay, so that it begins again."""
        with self._lock:
            known = list(self._looks.values())
        for look, _ in known:
            _end(look)

    def wait_for_all(self) -> None:
        """Wait until nothing is under way; for tests."""
        with self._lock:
            threads = [thread for _, thread in self._looks.values()]
        for thread in threads:
            thread.join()

    def _run(self, look: _Look) -> None:
        with self._turn:
            try:
                self._watch(look)
            finally:
                look.is_over = True

    def _watch(self, look: _Look) -> None:
        (look.folder / PROGRESS_FILE).unlink(missing_ok=True)
        command = (sys.executable, "-m", "worker.inside", str(look.folder / ORDER_FILE))
        with look.lock:
            if look.is_over:
                return
            look.child = Child("A look inside a network", command, os.environ)
            look.child.start()
            look.activity = "computing"
        while look.child.is_running:
            time.sleep(_LOOK_EVERY_S)
        code = look.child.exit_code
        with look.lock:
            if look.is_over or code == 0:
                return
            _note_failure(look.folder, code)


def _end(look: _Look) -> None:
    with look.lock:
        look.is_over = True
        if look.child is not None:
            look.child.kill()


def _note_failure(folder: Path, code: int | None) -> None:
    """Leave a reason where the process has left none, and forget that it was asked for."""
    log.warning("inside_failed", folder=folder.name, exit=describe_exit(code))
    (folder / ORDER_FILE).unlink(missing_ok=True)
    if not (folder / FAILURE_FILE).exists():
        words = {
            "message": f"The look inside the network stopped ({describe_exit(code)}).",
            "advice": "The server's log has the reason. Try again, with less running beside it if memory ran out.",
        }
        # The folder may have been deleted with its training.
        with suppress(FileNotFoundError):
            write_file(folder / FAILURE_FILE, json.dumps(words).encode())


LOOKS: Final = Looks()
"""Those of this process."""
