"""Read archives entry by entry. Nothing is ever unpacked onto the disk."""

from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, Protocol

from backend.datasets.archives.budget import Budget
from backend.datasets.archives.cut_zips import CutZipArchive
from backend.datasets.archives.errors import ArchiveBroken
from backend.datasets.archives.tars import TarArchive
from backend.datasets.archives.zips import ZipArchive
from backend.datasets.errors import NotAnArchive
from backend.datasets.ingest import IncomingFile


class Archive(Protocol):
    """Files that come one after the other."""

    @property
    def entries(self) -> int:
        """How many files there are; 0 where only reading tells."""

    @property
    def name_encoding(self) -> str | None:
        """The encoding that names were read in, where it had to be guessed."""

    def files(self, skip: int) -> Iterator[IncomingFile]:
        """The files after the first ``skip``; what can't be taken comes with the reason."""


def open_archive(file: BinaryIO, kind: str, size: int) -> Archive:
    """An archive of ``size`` bytes; ``kind`` is that of ``kind_of``.

    Raises:
        ArchiveTooLarge: it has too many files.
        ArchiveEncrypted: all of its files have a password.
    """
    budget = Budget(size)
    if kind != "zip":
        return TarArchive(file, budget, is_gzip=kind == "gzip")
    try:
        return ZipArchive(file, budget)
    except ArchiveBroken:
        return CutZipArchive(file, budget)


def kind_of(head: bytes) -> str:
    """``zip``, ``gzip`` or ``tar``, by an archive's first 512 bytes.

    Raises:
        NotAnArchive: none of these.
    """
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head[257:262] == b"ustar" or _is_old_tar(head):
        return "tar"
    raise NotAnArchive


def _is_old_tar(head: bytes) -> bool:
    if len(head) < 512 or not head[0]:
        return False
    try:
        return int(head[148:156].strip(b" \0"), 8) == sum(head[:148]) + 8 * 32 + sum(head[156:512])
    except ValueError:
        return False


def first_bytes(chunks: Iterator[bytes], count: int = 512) -> tuple[bytes, Iterator[bytes]]:
    """The first ``count`` bytes of a stream, and the whole stream."""
    head = b""
    taken: list[bytes] = []
    while len(head) < count and (more := list(islice(chunks, 1))):
        taken += more
        head += more[0]
    return head[:count], _chained(taken, chunks)


def _chained(taken: list[bytes], rest: Iterator[bytes]) -> Iterator[bytes]:
    yield from taken
    yield from rest
