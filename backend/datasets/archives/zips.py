"""Zips with a list of files at their end, as whole ones have."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from stream_unzip import UnzipError, stream_unzip

from backend.datasets.archives.budget import MAX_ENTRIES, Budget, too_many_entries
from backend.datasets.archives.entry import NOT_A_FILE, incoming
from backend.datasets.archives.errors import ArchiveBroken, ArchiveEncrypted
from backend.datasets.archives.names import NameDecoder
from backend.datasets.ingest import MAX_FILE_BYTES, IncomingFile
from backend.imaging.errors import Refused

CHUNK: Final = 1 << 20
_MAX_DIRECTORY: Final = 512 << 20
"""Bytes of a zip's list of files."""
_DIRECTORY_ENTRY: Final = b"PK\x01\x02"
_ENCRYPTED: Final = 0x1
_UTF8: Final = 0x800
_DEFLATE64: Final = 9
_BY_ZIPFILE: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_BROKEN: Final = (zipfile.BadZipFile, zlib.error, UnzipError, EOFError, OSError, ValueError, struct.error)


class ZipArchive:
    """A zip, read by its list of files.

    Raises:
        ArchiveBroken: it has no such list, or a damaged one.
        ArchiveTooLarge: the list has too many entries.
        ArchiveEncrypted: all of its files have a password.
    """

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        self._file, self._budget = file, budget
        directory = _GuardedDirectory(file)
        try:
            self._zip = zipfile.ZipFile(directory)
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error) as error:
            raise ArchiveBroken("its list of files can't be read") from error
        directory.is_open = True
        self._infos = [info for info in self._zip.infolist() if not info.is_dir()]
        if self._infos and all(info.flag_bits & _ENCRYPTED for info in self._infos):
            raise ArchiveEncrypted
        self._names = NameDecoder(_raw_name(info) for info in self._infos if not info.flag_bits & _UTF8)
        self.entries = len(self._infos)

    @property
    def name_encoding(self) -> str | None:
        """The encoding of names that was guessed, if one had to be."""
        return self._names.encoding

    def files(self, skip: int) -> Iterator[IncomingFile]:
        """The files after the first ``skip``, which are not unpacked. Raises ArchiveTooLarge."""
        for info in self._infos[skip:]:
            yield self._file_of(info)

    def _file_of(self, info: zipfile.ZipInfo) -> IncomingFile:
        name = self._name(info)
        try:
            return incoming(name, lambda: self._read(info), _refused(info))
        except NotImplementedError:
            return IncomingFile(name, refused=Refused("archive-entry-unknown", "packed in a way that isn't supported"))
        except _BROKEN:
            return IncomingFile(name, refused=Refused("archive-entry-broken", "broken inside the archive"))

    def _name(self, info: zipfile.ZipInfo) -> str:
        return info.filename if info.flag_bits & _UTF8 else self._names.decode(_raw_name(info))

    def _read(self, info: zipfile.ZipInfo) -> bytes:
        content = bytearray()
        for chunk in self._chunks(info):
            self._budget.spend(len(chunk))
            content += chunk
            # One chunk too many tells a file that is too large from one that isn't.
            if len(content) > MAX_FILE_BYTES:
                break
        return bytes(content)

    def _chunks(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        if info.compress_type == _DEFLATE64:
            self._file.seek(info.header_offset)
            _, _, chunks = next(iter(stream_unzip(chunks_of(self._file))))
            yield from chunks
            return
        with self._zip.open(info) as source:
            while chunk := source.read(CHUNK):
                yield chunk


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """The rest of a file, piece by piece."""
    while chunk := file.read(1 << 16):
        yield chunk


class _GuardedDirectory:
    """The file as ``zipfile`` reads it while it looks for the list of files.

    Wherever zipfile believes that list to be, it reads it in one piece and makes an object of each entry; here it
    is measured before that, so that no false record about its size or length can fill memory.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.is_open = False
        self.seek, self.tell, self.seekable, self.close = file.seek, file.tell, file.seekable, file.close

    def read(self, size: int = -1) -> bytes:
        if self.is_open:
            return self._file.read(size)
        if size > _MAX_DIRECTORY:
            raise too_many_entries()
        content = self._file.read(size)
        if content.count(_DIRECTORY_ENTRY) > MAX_ENTRIES:
            raise too_many_entries()
        return content


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    """A name's bytes: without the mark for UTF-8, ``zipfile`` has decoded them as CP437, which loses nothing."""
    return info.orig_filename.split("\0")[0].encode("cp437")


def _refused(info: zipfile.ZipInfo) -> Refused | None:
    if info.flag_bits & _ENCRYPTED:
        return Refused("archive-entry-encrypted", "it has a password")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        return NOT_A_FILE
    if info.compress_type not in (*_BY_ZIPFILE, _DEFLATE64):
        method = zipfile.compressor_names.get(info.compress_type, str(info.compress_type))  # type: ignore[attr-defined]
        return Refused("archive-entry-unknown", f"packed by a method that isn't supported here ({method}); use Deflate")
    return None
