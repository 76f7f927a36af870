"""Tars, plain or packed with gzip: read as a stream, in which every byte counts, also of what isn't taken."""

import tarfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from backend.datasets.archives.budget import Budget, CountedStream
from backend.datasets.archives.entry import NOT_A_FILE, incoming
from backend.datasets.archives.errors import ArchiveBroken
from backend.datasets.archives.names import NameDecoder, is_utf8
from backend.datasets.errors import NotAnArchive
from backend.datasets.ingest import MAX_FILE_BYTES, IncomingFile

_CHUNK: Final = 1 << 20
_BROKEN: Final = (tarfile.TarError, EOFError, OSError, zlib.error, ValueError)


class TarArchive:
    """A tar. How many files it has is known only at its end."""

    entries = 0

    def __init__(self, file: BinaryIO, budget: Budget, *, is_gzip: bool) -> None:
        self._file, self._budget, self._is_gzip = file, budget, is_gzip
        self._names: NameDecoder | None = None

    @property
    def name_encoding(self) -> str | None:
        """The encoding of names that was guessed, if one had to be so far."""
        return self._names.encoding if self._names else None

    def files(self, skip: int) -> Iterator[IncomingFile]:
        """All files after the first ``skip``.

        Raises:
            NotAnArchive, ArchiveBroken, ArchiveTooLarge
        """
        for archive, member in self._members(self._file, self._budget):
            self._budget.next_entry()
            if self._budget.entries > skip:
                name = self._decode(member.name.encode("utf-8", "surrogateescape"))
                refused = None if member.isreg() else NOT_A_FILE
                yield incoming(name, partial(_read, archive, member), refused)

    def _members(self, file: BinaryIO, budget: Budget) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
        file.seek(0)
        stream = CountedStream(file, budget, is_gzip=self._is_gzip)
        try:
            archive = _Tar.open(
                fileobj=stream,  # type: ignore[call-overload]  # only its read() is used
                mode="r|",
                tarinfo=_LimitedInfo,
                encoding="utf-8",
                errors="surrogateescape",
            )
        except _BROKEN as error:
            raise NotAnArchive from error
        while (member := _next(archive)) is not None:
            if not member.isdir():
                yield archive, member

    def _decode(self, name: bytes) -> str:
        if self._names is None and not is_utf8(name):
            self._names = NameDecoder(self._all_names())
        return (self._names or NameDecoder()).decode(name)

    def _all_names(self) -> Iterator[bytes]:
        """Names need each other to be read, so the archive is gone through once more, on a file of its own."""
        with Path(self._file.name).open("rb") as again, suppress(ArchiveBroken):
            for _, member in self._members(again, Budget(self._budget.archive_bytes)):
                yield member.name.encode("utf-8", "surrogateescape")


def _next(archive: "_Tar") -> tarfile.TarInfo | None:
    try:
        member = archive.next()
    except _BROKEN as error:
        raise ArchiveBroken("it ends too early or is damaged") from error
    if member is None and not archive.saw_end:
        raise ArchiveBroken("it ends too early")
    # tarfile remembers every header; a million of them would fill memory.
    archive.members.clear()  # type: ignore[attr-defined]  # tarfile's own list
    return member


def _read(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    content = bytearray()
    try:
        source = archive.extractfile(info)
        while source and len(content) <= MAX_FILE_BYTES and (chunk := source.read(_CHUNK)):
            content += chunk
    except _BROKEN as error:
        raise ArchiveBroken("it ends too early or is damaged") from error
    # A stream that ends inside a file is no error to tarfile.
    if len(content) < min(info.size, MAX_FILE_BYTES):
        raise ArchiveBroken("it ends too early")
    return bytes(content)


class _Tar(tarfile.TarFile):
    """Knows whether the mark was seen with which a whole archive ends."""

    saw_end = False


class _LimitedInfo(tarfile.TarInfo):
    """A header whose long name or notes can't be made to fill memory."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "_LimitedInfo":
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # missing in the stubs
            if isinstance(archive, _Tar):
                archive.saw_end = True
            raise

    _NOTES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, b"X")

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in self._NOTES and self.size > _CHUNK:
            raise tarfile.ReadError("a name of unreasonable length")
        member: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]  # tarfile's hook, untyped
        return member
