"""The part of a file that has arrived, on the disk. One process at a time has it; a process that dies lets go of it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from backend.datasets.blobs import UPLOADS, uploaded_file
from backend.storage.base import Storage
from backend.storage.local import sync
from backend.uploads.errors import UploadBusy

_BUSY_FOR_S = 5


class Part:
    """An open part file, locked."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def cut(self, size: int) -> None:
        """Forget what is beyond ``size`` bytes."""
        if self.size > size:
            os.ftruncate(self._descriptor, size)
            self.size = size

    def append(self, content: bytes) -> None:
        """Write more bytes at the end."""
        view = memoryview(content)
        while view:
            written = os.pwrite(self._descriptor, view, self.size)
            self.size += written
            view = view[written:]

    def sync(self) -> None:
        """See to it that what was written survives a power cut."""
        os.fsync(self._descriptor)

    def first_bytes(self, count: int = 512) -> bytes:
        """The beginning of the file."""
        return os.pread(self._descriptor, count, 0)

    def content(self) -> bytes:
        """All of it."""
        return os.pread(self._descriptor, self.size, 0)


@contextmanager
def locked_part(storage: Storage, upload_id: str) -> Iterator[Part]:
    """An upload's part, made if need be.

    Raises:
        UploadBusy: another process has it.
    """
    file = uploaded_file(storage, upload_id)
    is_new = not file.exists()
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UploadBusy(_BUSY_FOR_S) from error
        if is_new:
            sync(file.parent)
            sync(file.parent.parent)
        yield Part(descriptor)
    finally:
        os.close(descriptor)


def delete_part(storage: Storage, upload_id: str) -> None:
    """Delete what has arrived."""
    storage.delete_folder(UPLOADS, upload_id)
