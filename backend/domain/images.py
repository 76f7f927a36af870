"""Names and sides of images, before any database."""

import posixpath
import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Protocol

from backend.domain.ids import Digest

MAX_PATH: Final = 4096
"""Characters of a path; a longer one is refused, as cutting it could make two names one."""

JOINERS: Final = "\u200c\u200d"
"""Invisible letters that Persian, Hindi and emoji need: they are kept in names though they count as not printable."""

PICTURE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic", ".heif", ".avif"}
)
SOUND_SUFFIXES: Final = frozenset({".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus"})
NAME_KEY: Final = 120
"""Characters of ``name_key``."""
_NUMBER_DIGITS: Final = 8
_NUMBER: Final = re.compile(r"[0-9]+")

_JUNK_NAMES: Final = frozenset(
    {
        # macOS
        "__macosx",
        "icon\r",
        "network trash folder",
        "temporary items",
        # Windows
        "thumbs.db",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "desktop.ini",
        "$recycle.bin",
        "recycler",
        "system volume information",
        # Synology, QNAP and other network drives
        "@eadir",
        "@tmp",
        "#recycle",
        "#snapshot",
        "@recycle",
        "@__thumb",
        "@recently-snapshot",
        "lost+found",
        # Picasa, ACDSee and other programs for photos
        "picasa.ini",
        "zbthumbnail.info",
        "pspbrwse.jbf",
        "__pycache__",
    }
)
_JUNK_STARTS: Final = ("synophoto_", "synofile_thumb_")
_DRIVE: Final = re.compile(r"(//\?/)?[A-Za-z]:/")


class LabelledImage(Protocol):
    """One image with its class. ``paths`` are all of its names, sorted; they decide folder splits and groups."""

    @property
    def digest(self) -> Digest:
        """SHA-256 of its bytes."""

    @property
    def label(self) -> str:
        """Name of its class."""

    @property
    def paths(self) -> tuple[str, ...]:
        """All of its names."""


@dataclass(frozen=True, slots=True)
class NamedImage:
    """A ``LabelledImage`` that is nothing else."""

    digest: Digest
    label: str
    paths: tuple[str, ...]


def as_given(name: str) -> str:
    """A name as it is kept: the path within the dataset, with ``/`` between folders.

    It is data for people and for label rules, never a path on a disk. Folders from Windows are folders, without
    the letter of their drive; ``..`` is resolved and leads no higher than the dataset; what isn't text becomes a
    question mark. The result may be longer than ``MAX_PATH``.
    """
    path = as_text(name).replace("\\", "/")
    if drive := _DRIVE.match(path):
        path = path[drive.end() :]
    return posixpath.normpath("/" + path).strip("/") or "unnamed"


def name_in_form(name: str) -> str:
    """A file's name, of which browsers write three characters in another way (source: HTML, multipart form data)."""
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def as_text(name: str) -> str:
    """``name`` with what UTF-8 or a database can't hold replaced by question marks."""
    return name.encode("utf-8", "replace").decode("utf-8").replace("\x00", "?")


def shortened(path: str) -> str:
    """A path for people to see: of a very long one the front and the end."""
    return path if len(path) <= MAX_PATH else f"{path[: MAX_PATH // 2 - 1]}…{path[-MAX_PATH // 2 :]}"


def normal(path: str) -> str:
    """The form in which paths are compared: NFC, because macOS sends an é as two letters."""
    return path if path.isascii() else unicodedata.normalize("NFC", path)


def is_item_name(name: str) -> bool:
    """Whether a name ends like a picture's or a sound's."""
    return PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES | SOUND_SUFFIXES


def name_key(path: str) -> str:
    """What lists by name are in the order of: the file's name as people read it, without case, 2 before 10."""
    name = normal(path.rpartition("/")[2]).casefold()
    return _NUMBER.sub(lambda number: number[0].zfill(_NUMBER_DIGITS), name)[:NAME_KEY]


def is_junk(path: str) -> bool:
    """Whether a file is hidden or left by a system or a photo program, so that it's counted and otherwise ignored."""
    return any(_is_junk_name(part) for part in path.split("/"))


def _is_junk_name(name: str) -> bool:
    folded = name.casefold()
    is_hidden = name.startswith(".") and name not in (".", "..")
    return is_hidden or folded in _JUNK_NAMES or folded.startswith(_JUNK_STARTS)
