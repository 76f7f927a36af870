"""The log of one attempt: all that its process prints, its beginning and its end where that is very much."""

import contextlib
import os
import time
from pathlib import Path
from typing import BinaryIO, Final

LIMIT_BYTES: Final = 10_000_000
KEPT_FOR_S: Final = 30 * 24 * 3600.0
"""How long the log of an attempt is kept after its last line."""
KEPT_BYTES: Final = 500_000_000
"""Of all logs together; what was written longest ago goes first."""
_IN_USE_S: Final = 3600.0


def attempt_logs(data: Path) -> Path:
    """The folder below the data folder in which each attempt at a job has its log."""
    return data / "logs" / "jobs"


def remove_old_logs(folder: Path, *, kept_bytes: int = KEPT_BYTES) -> int:
    """Remove logs of attempts that are old or too many; how many. A log that was written to lately stays."""
    entries = []
    for path in folder.glob("*.log"):
        with contextlib.suppress(OSError):  # another worker was faster
            facts = path.stat()
            entries.append((time.time() - facts.st_mtime, facts.st_size, path))
    removed = total = 0
    for age_s, size, path in sorted(entries, key=lambda entry: entry[0]):
        total += size
        if age_s > _IN_USE_S and (age_s > KEPT_FOR_S or total > kept_bytes):
            with contextlib.suppress(OSError):
                path.unlink()
                removed += 1
                total -= size
    return removed


class LogFile:
    """A file that a child process appends to and that is kept short from here."""

    def __init__(self, path: Path, limit: int = LIMIT_BYTES) -> None:
        self.path, self._limit = path, limit

    def open(self) -> BinaryIO:
        """For the child to write to: always at the end, wherever that is. Makes the folder where it isn't there.

        Raises:
            OSError: the file can't be made.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.path.open("ab")

    def cap(self) -> None:
        """Cut out the middle when the file has grown too long; a few lines written meanwhile may go with it.

        A log that was removed, or that can't be shortened, is no reason to stop watching over a training.
        """
        with contextlib.suppress(OSError):
            self._cut()

    def _cut(self) -> None:
        if self.path.stat().st_size <= self._limit:
            return
        part = self._limit // 4
        with self.path.open("r+b") as file:
            file.seek(-part, os.SEEK_END)
            tail = file.read()
            cut = file.seek(0, os.SEEK_END) - 2 * part
            file.truncate(part)
        with self.open() as file:
            file.write(f"\n... {cut:,} bytes left out ...\n".encode())
            file.write(tail)
