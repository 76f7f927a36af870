"""Flaws that every viewer passes over: what is wrong lies beside the pixels, and the pixels are whole."""

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from PIL import Image, ImageChops, PngImagePlugin

# An ICC profile may take more than the one megabyte that Pillow allows for anything compressed beside the pixels.
PngImagePlugin.MAX_TEXT_CHUNK = 16 << 20

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_TEXTS: Final = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_LENGTHS: Final = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"tIME": 7}
_NEEDED: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})

END_OF_JPEG: Final = b"\xff\xd9"
_NONSENSE: Final = b"\x5a\xa5\x33" * 700


def repaired(content: bytes) -> Iterator[bytes]:
    """The file without what may have kept it from being read; the mildest change first. Nothing for most files."""
    if not content.startswith(_PNG):
        return
    chunks = list(_chunks(content))
    sound = [chunk for chunk in chunks if not _is_bad_note(*chunk)]
    for kept in (sound, [chunk for chunk in chunks if chunk[0] in _NEEDED]):
        if len(kept) < len(chunks):
            yield _PNG + b"".join(whole for _, _, whole in kept)


def with_end(content: bytes) -> tuple[bytes, bytes]:
    """Two versions of a JPEG that lacks its end marker: with the marker, and with nonsense before it.

    A decoder that has seen all pixels passes over the nonsense, so both look the same; where pixels
    are missing too, it takes the nonsense for them.
    """
    cut = content.removesuffix(b"\xff")
    return cut + END_OF_JPEG, cut + _NONSENSE + END_OF_JPEG


def are_same(one: Image.Image, other: Image.Image) -> bool:
    """Whether two pictures have the same pixels."""
    return one.mode == other.mode and one.size == other.size and ImageChops.difference(one, other).getbbox() is None


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """(name, data, whole) of each chunk of a PNG; the last may be cut off."""
    at = len(_PNG)
    while at + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        yield name, content[at + 8 : at + 8 + length], content[at : at + 12 + length]
        at += 12 + length


def _is_bad_note(name: bytes, data: bytes, whole: bytes) -> bool:
    if not name[:1].islower():
        return False
    checksum = struct.pack(">I", zlib.crc32(name + data))
    return name in _TEXTS or not whole.endswith(checksum) or len(data) != _LENGTHS.get(name, len(data))
