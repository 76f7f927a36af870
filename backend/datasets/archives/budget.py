"""Limits on what comes out of an archive, counted in bytes that really come out and not by what headers claim."""

import zlib
from dataclasses import dataclass
from gzip import GzipFile
from typing import BinaryIO, Final

from backend.datasets.archives.errors import ArchiveTooLarge

MAX_ENTRIES: Final = 1_000_000
MAX_TOTAL_BYTES: Final = 200 << 30
MAX_RATIO: Final = 200
"""Unpacked bytes for each byte of the archive."""
_RATIO_FROM: Final = 10 << 20
"""Unpacked bytes from which the ratio counts."""


@dataclass(slots=True)
class Budget:
    """Counts unpacked bytes and entries of one archive, including those that are ignored, refused or skipped."""

    archive_bytes: int
    unpacked: int = 0
    entries: int = 0

    def spend(self, count: int) -> None:
        """Count unpacked bytes. Raises ArchiveTooLarge."""
        self.unpacked += count
        if self.unpacked > MAX_TOTAL_BYTES:
            raise ArchiveTooLarge(f"{MAX_TOTAL_BYTES >> 30} GB")
        if self.unpacked > _RATIO_FROM and self.unpacked > MAX_RATIO * max(1, self.archive_bytes):
            raise ArchiveTooLarge(f"{MAX_RATIO} times its own size")

    def next_entry(self) -> None:
        """Count an entry. Raises ArchiveTooLarge."""
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            raise too_many_entries()


def too_many_entries() -> ArchiveTooLarge:
    """The error for an archive of too many files."""
    return ArchiveTooLarge(f"{MAX_ENTRIES:,} files")


class CountedStream:
    """The bytes of a tar, each counted as it is read. Gives all that a broken gzip stream holds before it fails."""

    def __init__(self, file: BinaryIO, budget: Budget, *, is_gzip: bool) -> None:
        self._gzip = GzipFile(fileobj=file) if is_gzip else None
        self._file, self._budget = file, budget
        self._failure: Exception | None = None

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; fewer only at the end. Raises EOFError, OSError, zlib.error."""
        if self._failure is not None:
            raise self._failure
        content = self._read_whole(size) if self._gzip else self._file.read(size)
        self._budget.spend(len(content))
        return content

    def _read_whole(self, size: int) -> bytes:
        assert self._gzip is not None
        content = bytearray()
        try:
            while len(content) < size and (more := self._gzip.read1(size - len(content))):
                content += more
        except (EOFError, OSError, zlib.error) as error:
            if not content:
                raise
            self._failure = error
        return bytes(content)
