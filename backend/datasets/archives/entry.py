"""One file of an archive. Its name never becomes a path on a disk."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Final

from backend.datasets.ingest import IncomingFile
from backend.domain.images import as_given, is_junk
from backend.imaging.errors import Refused

MAX_DEPTH: Final = 32
_NESTED: Final = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst"})
NOT_A_FILE: Final = Refused("archive-entry-not-a-file", "a link or device, not a file")


def incoming(name: str, read: Callable[[], bytes], refused: Refused | None = None) -> IncomingFile:
    """An entry with its bytes, or with the reason why it isn't read. Junk and refused entries aren't read."""
    if is_junk(as_given(name)):
        return IncomingFile(name)
    if refused := refused or _refused_name(name):
        return IncomingFile(name, refused=refused)
    return IncomingFile(name, read())


def _refused_name(name: str) -> Refused | None:
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or name[1:2] == ":":
        return Refused("archive-entry-unsafe-name", "its name points outside of the archive")
    if len(parts) > MAX_DEPTH:
        return Refused("archive-entry-too-deep", f"more than {MAX_DEPTH} folders deep")
    if PurePosixPath(name).suffix.lower() in _NESTED:
        return Refused("archive-nested", "an archive inside the archive; unpack it first")
    return None
