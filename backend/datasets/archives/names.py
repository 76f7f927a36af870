"""Names of an archive's entries: bytes in an encoding that is often not written down anywhere."""

from collections.abc import Iterable
from typing import Final

from chardet import detect_all

_MAX_EVIDENCE: Final = 64 << 10
"""Bytes of names that are looked at."""
_FALLBACK: Final = "cp437"
"""What the zip format prescribes for names that aren't marked as UTF-8."""
_SHOWN: Final = {
    "cp932": "Shift-JIS",
    "gb18030": "GBK",
    "big5hkscs": "Big5",
    "cp949": "EUC-KR",
    "cp1251": "Windows-1251",
    "cp1252": "Windows-1252",
    "cp866": "CP866",
    "cp850": "CP850",
    _FALLBACK: "CP437",
}
"""Encodings that are found in archives, with the names that people know them by."""


class NameDecoder:
    """Decodes names: UTF-8 where they are, else the one legacy encoding that suits all of ``evidence`` best."""

    def __init__(self, evidence: Iterable[bytes] = ()) -> None:
        self._codec = _guess(name for name in evidence if not is_utf8(name))

    @property
    def encoding(self) -> str | None:
        """The legacy encoding as people call it; None where all names were UTF-8."""
        return _SHOWN[self._codec] if self._codec else None

    def decode(self, name: bytes) -> str:
        """A name as text."""
        if is_utf8(name):
            return name.decode("utf-8")
        try:
            return name.decode(self._codec or _FALLBACK)
        except UnicodeDecodeError:
            return name.decode(_FALLBACK)


def is_utf8(name: bytes) -> bool:
    """Whether bytes are UTF-8; names in other encodings hardly ever are by accident."""
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _guess(evidence: Iterable[bytes]) -> str | None:
    """The codec of names that aren't UTF-8; None where there are none."""
    names: set[bytes] = set()
    size = 0
    for name in evidence:
        size += len(name)
        if size > _MAX_EVIDENCE:
            break
        names.add(name)
    if not names:
        return None
    return next((codec for codec in _likely(b"\n".join(sorted(names))) if _suits(codec, names)), _FALLBACK)


def _likely(evidence: bytes) -> list[str]:
    found = detect_all(evidence, ignore_threshold=True, compat_names=False, include_encodings=list(_SHOWN))
    return [guess["encoding"] for guess in found if guess["encoding"] in _SHOWN]


def _suits(codec: str, names: Iterable[bytes]) -> bool:
    try:
        for name in names:
            name.decode(codec)
    except UnicodeDecodeError:
        return False
    return True
