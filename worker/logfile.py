"""The log of one attempt: all that its process prints, its beginning and its end where that is very much."""

import os
from pathlib import Path
from typing import BinaryIO, Final

LIMIT_BYTES: Final = 50_000_000


class LogFile:
    """A file that a child process appends to and that is kept short from here."""

    def __init__(self, path: Path, limit: int = LIMIT_BYTES) -> None:
        self.path, self._limit = path, limit
        path.parent.mkdir(parents=True, exist_ok=True)

    def open(self) -> BinaryIO:
        """For the child to write to: always at the end, wherever that is."""
        return self.path.open("ab")

    def cap(self) -> None:
        """Cut out the middle when the file has grown too long; a few lines written meanwhile may go with it."""
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
