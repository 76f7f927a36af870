"""Names and sides of images, before any database."""

import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from backend.domain.ids import Digest

MAX_PATH: Final = 4096
"""Characters of a path that are kept; the middle of a longer one is cut out."""

_JUNK_NAMES: Final = frozenset({"__macosx", "thumbs.db", "desktop.ini", ".ipynb_checkpoints"})


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image with its class. ``paths`` are all of its names, sorted; they decide folder splits and groups."""

    digest: Digest
    label: str
    paths: tuple[str, ...]


def as_given(name: str) -> str:
    """A name as it is kept: what was sent, made fit for a database and for UTF-8.

    It is data for people and for label rules, never a place on a disk: ``..`` and
    drive letters stay as they are. Backslashes become slashes, so that folders
    from Windows are folders; what is no text becomes a question mark.
    """
    text = name.encode("utf-8", "replace").decode("utf-8").replace("\x00", "?")
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    return _shortened("/".join(parts)) or "unnamed"


def _shortened(path: str) -> str:
    # The front holds folders and the end the file name: labels are read from both.
    return path if len(path) <= MAX_PATH else f"{path[: MAX_PATH // 2 - 1]}…{path[-MAX_PATH // 2 :]}"


def normal(path: str) -> str:
    """The form in which paths are compared: NFC, because macOS sends an é as two letters."""
    return path if path.isascii() else unicodedata.normalize("NFC", path)


def normal_path(path: str) -> PurePosixPath:
    """``path`` as rules see it."""
    return PurePosixPath(normal(path))


def is_junk(path: str) -> bool:
    """Whether a file is hidden or left by a system, so that it's counted and otherwise ignored."""
    return any(part.startswith(".") and part != ".." or part.casefold() in _JUNK_NAMES for part in path.split("/"))
