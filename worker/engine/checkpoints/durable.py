"""Files that are whole or absent, whatever is killed or unplugged."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import disk_usage, rmtree
from typing import Final
from uuid import uuid4

from backend.domain.errors import is_disk_full
from worker.engine.errors import DiskFull

_HASH_BYTES: Final = 32


def sha256(content: bytes) -> str:
    """64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def write_file(path: Path, content: bytes) -> None:
    """Write beside its place, read back, compare, rename: a reader sees all of it or nothing.

    Raises:
        DiskFull: nothing was changed.
        OSError: the disk gave back something else than was written.
    """
    with disk_full_named(path.parent, len(content)):
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
        partial = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if partial.read_bytes() != content:
                raise OSError(f"{path.name} reads back differently from what was written")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(path.parent)


def replace_file(path: Path, *parts: bytes) -> None:
    """Write beside its place and rename, without waiting for the disk: for what holds its hash and can be made anew.

    Raises:
        OSError
    """
    partial = path.with_name(f"{uuid4().hex}.partial")
    try:
        with partial.open("wb") as file:
            file.writelines(parts)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def kept(file: Path | None, make: Callable[[], bytes]) -> bytes:
    """The content of a file that can be made anew: as it was kept, else as it is made and then kept.

    Its hash stands at its end, so that a damaged one is made anew; where it can't be written, it isn't kept.
    """
    if file is not None:
        try:
            whole = file.read_bytes()
            if hashlib.sha256(whole[:-_HASH_BYTES]).digest() == whole[-_HASH_BYTES:]:
                os.utime(file)
                return whole[:-_HASH_BYTES]
        except OSError:
            pass
    content = make()
    if file is not None:
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            replace_file(file, content, hashlib.sha256(content).digest())
    return content


@contextmanager
def disk_full_named(folder: Path, needed_bytes: int) -> Iterator[None]:
    """Turn a full disk (or a used-up quota) into an error with what the block needs and what is free.

    Raises:
        DiskFull
    """
    try:
        yield
    except DiskFull as error:
        if error.needed_bytes >= needed_bytes:
            raise
        raise DiskFull(needed_bytes, error.free_bytes) from error
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise DiskFull(needed_bytes, _free_bytes(folder)) from error


def _free_bytes(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return disk_usage(folder).free


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which takes its place when the block ends well and is removed when it doesn't.

    A folder already there is replaced.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial"))
    try:
        yield partial
        sync_folder(partial)
        # A folder can't be renamed onto one that isn't empty.
        if path.exists():
            rmtree(path)
        # mkdtemp makes folders for their owner only; the web process may be another user of the same group.
        partial.chmod(0o755)
        partial.replace(path)
        sync_folder(path.parent)
    finally:
        rmtree(partial, ignore_errors=True)


def remove_partials(folder: Path) -> None:
    """Remove what killed processes left half done."""
    for partial in folder.glob(".*.partial"):
        if partial.is_dir():
            rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
