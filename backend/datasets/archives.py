"""Read archives entry by entry. Nothing is ever unpacked onto the disk, and no entry's name becomes a path."""

import stat
import struct
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import BinaryIO, Final

from backend.datasets.errors import NotAnArchive
from backend.datasets.ingest import MAX_FILE_BYTES, IncomingFile
from backend.domain.errors import InvalidInput, LimitExceeded
from backend.domain.images import as_given, is_junk
from backend.imaging.errors import Refused

MAX_ENTRIES: Final = 1_000_000
MAX_TOTAL_BYTES: Final = 200 << 30
MAX_RATIO: Final = 200
MAX_DEPTH: Final = 32
_RATIO_FROM: Final = 10 << 20
"""Unpacked bytes from which the ratio counts."""
_MAX_DIRECTORY: Final = 512 << 20
"""Bytes of a zip's list of entries."""
_CHUNK: Final = 1 << 20
_NESTED: Final = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"})


class ArchiveBroken(InvalidInput):
    """An archive can't be read (any further)."""

    code = "archive-broken"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"This archive is broken: {reason}. The pictures before that place were kept.",
            advice="Make the archive anew and send it again; what is here is not stored twice.",
        )


class ArchiveTooLarge(LimitExceeded):
    """An archive holds more than this server unpacks."""

    code = "archive-too-large"

    def __init__(self, limit: str) -> None:
        super().__init__(f"This archive holds more than {limit}.", advice="Send it in parts.")


class ArchiveEncrypted(InvalidInput):
    """Every entry has a password."""

    code = "archive-encrypted"

    def __init__(self) -> None:
        super().__init__("This zip has a password.", advice="Unpack it first, then bring the files.")


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


def count_entries(file: BinaryIO, kind: str) -> int:
    """How many entries a zip has; 0 for a tar, which can't tell without being read.

    Raises:
        ArchiveTooLarge, ArchiveBroken
    """
    return _count_zip(file) if kind == "zip" else 0


def entries(file: BinaryIO, kind: str, size: int, *, skip: int = 0) -> Iterator[IncomingFile]:
    """Every entry that is a file, after the first ``skip``; what can't be taken comes with the reason.

    Raises:
        ArchiveTooLarge: a limit is passed, counted by the bytes that really come out.
        ArchiveBroken, ArchiveEncrypted
    """
    found = _zip_entries(file) if kind == "zip" else _tar_entries(file, kind)
    budget = _Budget(size)
    # Skipped entries are not read, only passed over.
    for number, entry in enumerate(found):
        if number >= MAX_ENTRIES:
            raise ArchiveTooLarge(f"{MAX_ENTRIES:,} files")
        if number < skip:
            continue
        yield entry.file(budget)


@dataclass(slots=True)
class _Budget:
    """Counts the bytes that really come out of an archive."""

    archive_bytes: int
    unpacked: int = 0

    def spend(self, count: int) -> None:
        self.unpacked += count
        if self.unpacked > MAX_TOTAL_BYTES:
            raise ArchiveTooLarge(f"{MAX_TOTAL_BYTES >> 30} GB")
        if self.unpacked > _RATIO_FROM and self.unpacked > MAX_RATIO * max(1, self.archive_bytes):
            raise ArchiveTooLarge(f"{MAX_RATIO} times its own size")


class _Entry(ABC):
    """One file of an archive, not yet read."""

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    @abstractmethod
    def refused(self) -> Refused | None: ...

    @abstractmethod
    def open(self) -> BinaryIO | None: ...

    def file(self, budget: _Budget) -> IncomingFile:
        if is_junk(as_given(self.name)):
            return IncomingFile(self.name)
        if refused := self.refused or _refused_name(self.name):
            return IncomingFile(self.name, refused=refused)
        return self._read(budget)

    def _read(self, budget: _Budget) -> IncomingFile:
        content = bytearray()
        source = self.open()
        while source and len(content) <= MAX_FILE_BYTES and (chunk := source.read(_CHUNK)):
            budget.spend(len(chunk))
            content += chunk
        return IncomingFile(self.name, bytes(content))


def _refused_name(name: str) -> Refused | None:
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or name[1:2] == ":":
        return Refused("archive-entry-unsafe-name", "its name points outside of the archive")
    if len(parts) > MAX_DEPTH:
        return Refused("archive-entry-too-deep", f"more than {MAX_DEPTH} folders deep")
    if PurePosixPath(name).suffix.lower() in _NESTED:
        return Refused("archive-nested", "an archive inside the archive; unpack it first")
    return None


@dataclass
class _ZipEntry(_Entry):
    archive: zipfile.ZipFile
    info: zipfile.ZipInfo

    @property
    def name(self) -> str:
        return _zip_name(self.info)

    @property
    def refused(self) -> Refused | None:
        if self.info.flag_bits & 0x1:
            return Refused("archive-entry-encrypted", "it has a password")
        mode = self.info.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            return Refused("archive-entry-not-a-file", "a link or device, not a file")
        return None

    def _read(self, budget: _Budget) -> IncomingFile:
        try:
            return _Entry._read(self, budget)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError):
            return IncomingFile(self.name, refused=Refused("archive-entry-broken", "broken inside the archive"))
        except NotImplementedError:
            return IncomingFile(self.name, refused=Refused("archive-entry-unknown", "packed in a way we can't read"))

    def open(self) -> BinaryIO:
        return self.archive.open(self.info)  # type: ignore[return-value]  # reads like a binary file


def _zip_name(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x800:
        return info.filename
    # Without the flag, zipfile takes the name for a DOS one; macOS writes UTF-8 and doesn't say so.
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return info.filename


def _zip_entries(file: BinaryIO) -> Iterator[_Entry]:
    _count_zip(file)
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error) as error:
        raise ArchiveBroken("its list of files can't be read") from error
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if infos and all(info.flag_bits & 0x1 for info in infos):
        raise ArchiveEncrypted
    for info in infos:
        yield _ZipEntry(archive, info)


_END: Final = b"PK\x05\x06"
_END_64: Final = b"PK\x06\x06"


def _count_zip(file: BinaryIO) -> int:
    """Entries in a zip's directory, counted before ``zipfile`` makes an object of each."""
    size = file.seek(0, 2)
    tail_size = min(size, 65_536 + 22 + 76)
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    at = tail.rfind(_END)
    if at < 0 or at + 22 > len(tail):
        raise ArchiveBroken("it ends too early")
    (directory_size,) = struct.unpack_from("<L", tail, at + 12)
    start = size - tail_size + at - directory_size
    if (at_64 := tail.rfind(_END_64)) >= 0 and at_64 + 56 <= len(tail):
        (directory_size,) = struct.unpack_from("<Q", tail, at_64 + 40)
        start = size - tail_size + at_64 - directory_size
    if directory_size > _MAX_DIRECTORY:
        raise ArchiveTooLarge(f"{MAX_ENTRIES:,} files")
    if start < 0:
        raise ArchiveBroken("its list of files can't be read")
    file.seek(start)
    return _count_directory(file.read(directory_size))


def _count_directory(directory: bytes) -> int:
    count = at = 0
    while directory[at : at + 4] == b"PK\x01\x02" and at + 46 <= len(directory):
        count += 1
        if count > MAX_ENTRIES:
            raise ArchiveTooLarge(f"{MAX_ENTRIES:,} files")
        at += 46 + sum(struct.unpack_from("<HHH", directory, at + 28))
    return count


class _Tar(tarfile.TarFile):
    """Knows whether the mark was seen with which a whole archive ends."""

    saw_end = False


class _CarefulInfo(tarfile.TarInfo):
    """A header whose long name or notes can't be made to fill memory."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "_CarefulInfo":
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


@dataclass
class _TarEntry(_Entry):
    archive: tarfile.TarFile
    info: tarfile.TarInfo

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def refused(self) -> Refused | None:
        if self.info.isreg():
            return None
        return Refused("archive-entry-not-a-file", "a link or device, not a file")

    def _read(self, budget: _Budget) -> IncomingFile:
        try:
            file = _Entry._read(self, budget)
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise ArchiveBroken("it ends too early or is damaged") from error
        # A stream that ends inside a file is no error to tarfile.
        if len(file.content) < min(self.info.size, MAX_FILE_BYTES):
            raise ArchiveBroken("it ends too early")
        return file

    def open(self) -> BinaryIO | None:
        return self.archive.extractfile(self.info)  # type: ignore[return-value]  # reads like a binary file


def _tar_entries(file: BinaryIO, kind: str) -> Iterator[_Entry]:
    file.seek(0)
    try:
        archive = _Tar.open(
            fileobj=file,
            mode="r|gz" if kind == "gzip" else "r|",
            tarinfo=_CarefulInfo,
            encoding="utf-8",
            errors="surrogateescape",
        )
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise NotAnArchive from error
    while True:
        try:
            member = archive.next()
        except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError) as error:
            raise ArchiveBroken("it ends too early or is damaged") from error
        if member is None:
            if not archive.saw_end:
                raise ArchiveBroken("it ends too early")
            return
        # tarfile remembers every header; a million of them would fill memory.
        archive.members.clear()  # type: ignore[attr-defined]  # tarfile's own list
        if not member.isdir():
            yield _TarEntry(archive, member)


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
