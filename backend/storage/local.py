"""Storage in a folder of this machine (or one that several machines share)."""

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from backend.domain.errors import NoRoom
from backend.domain.ids import Digest
from backend.storage.base import KEEP_FREE

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[0-9a-z-]{1,64}")


class LocalStorage:
    """Blobs lie under ``blobs/aa/bb/<sha256>``; each is written beside its place, synced and renamed."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    def put_bytes(self, content: bytes) -> Digest:
        """Keep ``content`` durably; the same bytes twice are kept once."""
        digest = Digest(hashlib.sha256(content).hexdigest())
        if not self.has_blob(digest):
            self._check_room(len(content))
            with self._incoming_file() as (file, partial):
                file.write(content)
                _sync(file)
                self._move(partial, digest)
        return digest

    def put_stream(self, chunks: Iterator[bytes]) -> tuple[Digest, int]:
        """Keep a stream durably; its digest and size in bytes.

        Raises:
            NoRoom: less than ``KEEP_FREE`` bytes would be left.
        """
        sha256 = hashlib.sha256()
        size = 0
        with self._incoming_file() as (file, partial):
            for chunk in chunks:
                if size % (64 << 20) + len(chunk) >= 64 << 20 or size == 0:
                    self._check_room(len(chunk))
                file.write(chunk)
                sha256.update(chunk)
                size += len(chunk)
            _sync(file)
            digest = Digest(sha256.hexdigest())
            self._move(partial, digest)
        return digest, size

    @contextmanager
    def _incoming_file(self) -> Iterator[tuple[BinaryIO, Path]]:
        """A new file in which a blob arrives; it is gone in the end, unless it was moved to its place."""
        descriptor, name = tempfile.mkstemp(dir=self._incoming)
        partial = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file, partial
        finally:
            partial.unlink(missing_ok=True)

    def adopt(self, file: Path) -> tuple[Digest, int]:
        """Keep a file that lies in a folder of this storage; it is moved, not copied. Its digest and size in bytes."""
        with file.open("rb") as content:
            digest = Digest(hashlib.file_digest(content, "sha256").hexdigest())
            os.fsync(content.fileno())
            size = content.seek(0, os.SEEK_END)
        self._move(file, digest)
        return digest, size

    def _move(self, file: Path, digest: Digest) -> None:
        place = self._blob(digest)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)
        sync_folder(place.parent)

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A seekable file of the blob's bytes."""
        return self._blob(digest).open("rb")

    def read_blob(self, digest: Digest) -> bytes:
        """All of a blob's bytes."""
        return self._blob(digest).read_bytes()

    def has_blob(self, digest: Digest) -> bool:
        """Whether a blob is there."""
        return self._blob(digest).exists()

    def delete_blob(self, digest: Digest) -> None:
        """Forget a blob; nothing happens where there is none."""
        self._blob(digest).unlink(missing_ok=True)

    def folder(self, kind: str, name: str) -> Path:
        """``<root>/<kind>/<name>``, made if need be."""
        assert _NAME.fullmatch(kind), kind
        assert _NAME.fullmatch(name), name
        place = self.root / kind / name
        place.mkdir(parents=True, exist_ok=True)
        return place

    def delete_folder(self, kind: str, name: str) -> None:
        """Forget a folder of derived files; nothing happens where there is none."""
        shutil.rmtree(self.folder(kind, name))

    def old_folders(self, kind: str, older_than_s: float) -> list[str]:
        """Names of the folders of a kind in which nothing was added or renamed for so long."""
        until = time.time() - older_than_s
        return sorted(
            folder.name for folder in (self.root / kind).glob("*") if folder.is_dir() and folder.stat().st_mtime < until
        )

    def clear_incoming(self, older_than_s: float) -> int:
        """Remove files whose upload was broken off so long ago; how many."""
        until = time.time() - older_than_s
        left = [file for file in self._incoming.iterdir() if file.is_file() and file.stat().st_mtime < until]
        for file in left:
            file.unlink(missing_ok=True)
        return len(left)

    def free_bytes(self) -> int:
        """Room that is left on the disk."""
        return shutil.disk_usage(self.root).free

    def disk_bytes(self) -> int:
        """Size of the disk, used or not."""
        return shutil.disk_usage(self.root).total

    def _blob(self, digest: Digest) -> Path:
        assert _DIGEST.fullmatch(digest), digest
        return self.root / "blobs" / digest[:2] / digest[2:4] / digest

    def _check_room(self, coming: int) -> None:
        free = self.free_bytes()
        if free - coming < KEEP_FREE:
            raise NoRoom(free)


def write_file(place: Path, content: bytes) -> None:
    """Write a derived file so that nobody ever sees half of it; it can be made again, so it isn't synced."""
    descriptor, name = tempfile.mkstemp(dir=place.parent)
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make a rename inside ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
