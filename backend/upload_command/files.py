"""What of a folder is sent, under which names, and in which bundles."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backend.domain.images import is_junk

LARGE: Final = 16_000_000
"""Bytes from which a file is sent by itself, so that it can go on after a cut."""
_FILES_A_BUNDLE: Final = 64


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file to be sent.

    Attributes:
        file: where it lies.
        path: its name within the dataset: from the folder that was named on, which is included.
        size: in bytes.
    """

    file: Path
    path: str
    size: int

    def sha256(self) -> str:
        """Of its bytes. Raises OSError."""
        with self.file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def fingerprint(self) -> str:
        """By which its upload is found again, also one that a browser began. Raises OSError."""
        modified_ms = int(self.file.stat().st_mtime_ns // 1_000_000)
        return f"{self.size}-{modified_ms}-{self.path[-180:]}"


def files_in(folder: Path) -> Iterator[LocalFile]:
    """The files of a folder and all below it, in the order of their names; hidden and system files are left out."""
    top = folder.resolve()
    for place, folders, names in os.walk(top):
        inside = Path(place).relative_to(top)
        folders[:] = sorted(name for name in folders if not is_junk(name))
        for name in sorted(names):
            file = Path(place) / name
            if not is_junk(name) and file.is_file():
                yield LocalFile(file, (Path(top.name) / inside / name).as_posix(), file.stat().st_size)


def bundles(files: Iterable[LocalFile]) -> Iterator[list[LocalFile]]:
    """Files that are sent in one request: a few small ones, or a single large one."""
    bundle: list[LocalFile] = []
    size = 0
    for file in files:
        if bundle and (len(bundle) == _FILES_A_BUNDLE or size + file.size > LARGE):
            yield bundle
            bundle, size = [], 0
        bundle.append(file)
        size += file.size
    if bundle:
        yield bundle
