"""Names of files and folders that every system accepts, made of names that people gave."""

import unicodedata
from typing import Final

from backend.domain.images import is_junk

LONGEST: Final = 120
"""Bytes of a name in UTF-8; most systems allow 255, and the folders above it count too in Windows."""
_REFUSED: Final = frozenset('<>:"/\\|?*')
_RESERVED: Final = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{number}" for port in ("com", "lpt") for number in range(10)}
)
"""Names of devices in Windows, whatever follows after a dot."""


class SafeNames:
    """Hands out names of one folder, no two of which are the same where capitals or accents don't count."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def safe(self, name: str, suffix: str = "", fallback: str = "unnamed") -> str:
        """``name`` as a file's or folder's name with ``suffix``; ``-2`` and so on where it is taken.

        What a system refuses becomes ``_``; a name of which nothing is left is ``fallback``.
        """
        stem = _safe_stem(name, fallback, LONGEST - len(suffix.encode()) - _ROOM_FOR_NUMBER)
        key = _key(stem + suffix)
        number = self._next.get(key, 1)
        found = stem + suffix
        while _key(found) in self._taken:
            number += 1
            found = f"{stem}-{number}{suffix}"
        self._next[key] = number
        self._taken.add(_key(found))
        return found


_ROOM_FOR_NUMBER: Final = 8


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _safe_stem(name: str, fallback: str, longest: int) -> str:
    text = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode("utf-8"))
    text = "".join("_" if one in _REFUSED or not one.isprintable() else one for one in text)
    text = text.encode()[:longest].decode("utf-8", "ignore").strip(" .")
    if not text:
        return fallback
    # Names of devices, and those that programs take for leftovers, are no pictures to whoever reads the folder.
    if text.partition(".")[0].strip().casefold() in _RESERVED or is_junk(text):
        return f"_{text}"
    return text
