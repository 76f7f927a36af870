"""Storage in a folder of this machine (or one that several machines share)."""

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, Final

from backend.domain.errors import NoRoom
from backend.domain.ids import Digest
from backend.storage.base import KEEP_FREE

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[0-9a-z-]{1,64}")
_SYNCED_AT_ONCE: Final = 16


class LocalStorage:
    """Blobs lie under ``blobs/aa/bb/<sha256>``; each is written elsewhere on the same disk, synced and renamed."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)

    def put_bytes(self, content: bytes) -> Digest:
        """Keep ``content`` durably; the same bytes twice are kept once."""
        return self.put_all((content,))[0]

    def put_all(self, contents: Sequence[bytes]) -> list[Digest]:
        """Keep several durably, which takes little longer than one: they wait for the disk together.

        Raises:
            NoRoom: less than ``KEEP_FREE`` bytes would be left.
        """
        digests = [Digest(hashlib.sha256(content).hexdigest()) for content in contents]
        new = {digest: content for digest, content in zip(digests, contents, strict=True) if not self.has_blob(digest)}
        if new:
            self._check_room(sum(map(len, new.values())))
            self._put_new(new)
        return digests

    def _put_new(self, contents: Mapping[Digest, bytes]) -> None:
        partial = {digest: self._incoming / token_hex(16) for digest in contents}
        try:
            # Side by side: file systems write down together what several wait for.
            with ThreadPoolExecutor(min(len(contents), _SYNCED_AT_ONCE)) as threads:
                for digest, content in contents.items():
                    _write_new(partial[digest], content)
                deque(threads.map(sync, partial.values()), maxlen=0)
                folders = {self._moved(partial[digest], digest) for digest in contents}
                deque(threads.map(sync, folders), maxlen=0)
        except BaseException:
            for file in partial.values():
                file.unlink(missing_ok=True)
            raise

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
        sync(self._moved(file, digest))

    def _moved(self, file: Path, digest: Digest) -> Path:
        """The folder of a blob, into which its file was moved; to be synced."""
        place = self._blob(digest)
        folder = place.parent
        folder.mkdir(parents=True, exist_ok=True)
        file.replace(place)
        return folder

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
        place = Path(f"{self.root}/{kind}/{name}")
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
        # From one string, which takes a quarter of the time that putting it together takes: each picture asks often.
        return Path(f"{self.root}/blobs/{digest[:2]}/{digest[2:4]}/{digest}")

    def _check_room(self, coming: int) -> None:
        free = self.free_bytes()
        if free - coming < KEEP_FREE:
            raise NoRoom(free)


def write_file(place: Path, content: bytes) -> None:
    """Write a derived file so that nobody ever sees half of it; it can be made again, so it isn't synced."""
    partial = place.with_name(f"{place.name}-{token_hex(8)}")
    try:
        _write_new(partial, content)
        partial.replace(place)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _write_new(place: Path, content: bytes) -> None:
    """A new file that only its owner may read."""
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def sync(place: Path) -> None:
    """Make the content of a file survive a power cut; of a folder, the names in it."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
