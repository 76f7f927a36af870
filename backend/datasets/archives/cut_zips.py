"""Zips whose end is missing, as after a broken download: read from the headers before each file, in their order."""

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from stream_unzip import MissingPasswordError, UnzipError, stream_unzip

from backend.datasets.archives.budget import Budget
from backend.datasets.archives.entry import incoming
from backend.datasets.archives.errors import ArchiveBroken, ArchiveEncrypted
from backend.datasets.archives.names import NameDecoder, is_utf8
from backend.datasets.archives.zips import chunks_of
from backend.datasets.ingest import MAX_FILE_BYTES, IncomingFile


class CutZipArchive:
    """A zip without a readable list of files. How many files it had is unknown."""

    entries = 0

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        self._file, self._budget = file, budget
        self._names: NameDecoder | None = None

    @property
    def name_encoding(self) -> str | None:
        """The encoding of names that was guessed, if one had to be so far."""
        return self._names.encoding if self._names else None

    def files(self, skip: int) -> Iterator[IncomingFile]:
        """All whole files after the first ``skip``.

        Raises:
            ArchiveBroken: always in the end, as the list of files is missing.
            ArchiveEncrypted: the first file has a password.
            ArchiveTooLarge
        """
        for raw_name, content in self._entries(self._budget):
            if self._budget.entries <= skip:
                continue
            name = self._decode(raw_name)
            yield incoming(name, partial(bytes, content))
        raise ArchiveBroken("the list of files at its end is missing")

    def _entries(self, budget: Budget) -> Iterator[tuple[bytes, bytes]]:
        self._file.seek(0)
        first = budget.entries
        try:
            for name, _, chunks in stream_unzip(chunks_of(self._file)):
                content = bytearray()
                for chunk in chunks:
                    budget.spend(len(chunk))
                    if len(content) <= MAX_FILE_BYTES:
                        content += chunk
                if not name.endswith(b"/"):
                    budget.next_entry()
                    yield name, bytes(content)
        except MissingPasswordError as error:
            if budget.entries == first:
                raise ArchiveEncrypted from error
            raise ArchiveBroken("the next file has a password") from error
        except UnzipError as error:
            raise ArchiveBroken("it ends too early") from error

    def _decode(self, name: bytes) -> str:
        if self._names is None and not is_utf8(name):
            self._names = NameDecoder(self._all_names())
        return (self._names or NameDecoder()).decode(name)

    def _all_names(self) -> Iterator[bytes]:
        """Names need each other to be read, so the archive is gone through once more, on a file of its own."""
        with Path(self._file.name).open("rb") as again, suppress(ArchiveBroken, ArchiveEncrypted):
            for name, _ in CutZipArchive(again, self._budget)._entries(Budget(self._budget.archive_bytes)):
                yield name
