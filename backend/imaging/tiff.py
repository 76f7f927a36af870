"""TIFF files: which of their pictures is the main one, and in words what can't be read."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from PIL import TiffImagePlugin
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from backend.imaging.errors import UnreadableImage
from backend.imaging.facts import Note

_MOST_PAGES: Final = 10_000

_NEW_SUBFILE_TYPE, _SUBFILE_TYPE, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 255, 258, 259, 262
_MAKE, _SAMPLES, _SUB_IFDS, _SAMPLE_FORMAT, _DNG_VERSION = 271, 277, 330, 339, 50706
_REDUCED_OR_MASK: Final = 0b101
_OLD_REDUCED: Final = 2
_SENSOR_VALUES: Final = frozenset({32803, 34892})
"""Photometric interpretations of raw files: a colour filter array, and linear raw."""

_RAW_OF_MAKERS: Final = {
    "NIKON": "Nikon NEF",
    "SONY": "Sony ARW",
    "CANON": "Canon CR2",
    "PENTAX": "Pentax PEF",
    "SAMSUNG": "Samsung SRW",
    "HASSELBLAD": "Hasselblad 3FR",
}
_COMPRESSIONS: Final = {
    32809: "ThunderScan",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34676: "SGI LogLuv",
    34677: "SGI LogLuv",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy raw",
    34925: "LZMA",
    34926: "Zstandard",
    34927: "WebP",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}

# Kinds of greys that Pillow can unpack but has no entry for, mostly negatives; ``levels`` turns those round.
_GREYS: Final = (
    # byte order, kind of numbers, bits -> Pillow's mode and how it unpacks
    (b"II", 1, 16, "I;16", "I;16"),
    (b"MM", 1, 16, "I;16B", "I;16B"),
    (b"II", 2, 16, "I", "I;16S"),
    (b"MM", 2, 16, "I", "I;16BS"),
    (b"II", 1, 32, "I", "I;32N"),
    (b"MM", 1, 32, "I", "I;32BS"),
    (b"II", 2, 32, "I", "I;32S"),
    (b"MM", 2, 32, "I", "I;32BS"),
    (b"II", 2, 8, "L", "L"),
    (b"MM", 2, 8, "L", "L"),
    (b"II", 1, 12, "I;16", "I;12"),
)
for _order, _kind, _bits, _mode, _unpacked in _GREYS:
    for _photometric in (0, 1):
        TiffImagePlugin.OPEN_INFO.setdefault((_order, _photometric, (_kind,), 1, (_bits,), ()), (_mode, _unpacked))


@dataclass(frozen=True, slots=True)
class _Page:
    offset: int
    tags: ImageFileDirectory_v2

    @property
    def is_small_copy_or_mask(self) -> bool:
        kind = _number(self.tags, _NEW_SUBFILE_TYPE)
        return bool(kind & _REDUCED_OR_MASK) or _number(self.tags, _SUBFILE_TYPE) == _OLD_REDUCED

    @property
    def is_raw(self) -> bool:
        return _number(self.tags, _PHOTOMETRIC) in _SENSOR_VALUES or _DNG_VERSION in self.tags


def is_tiff(content: bytes) -> bool:
    """Whether these bytes begin as a TIFF or BigTIFF."""
    return content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def main_page(content: bytes) -> tuple[bytes, Note | None]:
    """The file so that its main picture comes first, and a note where other pages are left out.

    The main picture is the first page that isn't marked as a smaller copy or a mask; pages may also lie
    below another one.

    Raises:
        UnreadableImage: it is a camera's raw file, which has at most a small preview to show.
    """
    pages = list(_pages(content))
    below = [page for parent in pages for page in _below(content, parent)]
    for page in (*pages, *below):
        if page.is_raw:
            raise UnreadableImage(
                "image-camera-raw", f"it is a camera's raw file ({_raw_name(content, pages)}). {RAW_ADVICE}"
            )
    whole = [page for page in pages if not page.is_small_copy_or_mask]
    chosen = next(iter([*whole, *(page for page in below if not page.is_small_copy_or_mask), *pages]), None)
    if chosen is None:
        return content, None
    left_out = len([page for page in whole if page is not chosen])
    return _beginning_with(content, chosen.offset), pages_left_out(left_out) if left_out else None


RAW_ADVICE: Final = (
    "Develop it into a JPEG or TIFF with the camera's program or one such as darktable, then add that. "
    "Only then do its colours and brightness mean something"
)


def pages_left_out(pages: int) -> Note:
    """That only the first of several pages is used."""
    others = "1 other page was" if pages == 1 else f"{pages:,} other pages were"
    return Note(
        "pages-left-out",
        f"Only its first page is used; {others} left out. Save each page as a file of its own to use it.",
    )


def described(content: bytes) -> str:
    """What kind of TIFF it is, for the reason why it isn't read."""
    page = next(_pages(content), None)
    if page is None:
        return "it is a broken TIFF: nothing in it says where its picture is"
    compression = _COMPRESSIONS.get(_number(page.tags, _COMPRESSION))
    if compression:
        return (
            f"it is a TIFF compressed as {compression}, which isn't read here. "
            "Save it as PNG, or as a TIFF with LZW or no compression"
        )
    numbers = {2: "signed", 3: "floating-point", 5: "complex", 6: "complex"}.get(_number(page.tags, _SAMPLE_FORMAT), "")
    channels, bits = max(1, _number(page.tags, _SAMPLES)), _number(page.tags, _BITS) or 1
    kind = f"{channels} {'channel' if channels == 1 else 'channels'} of {bits}-bit {numbers} numbers".replace("  ", " ")
    return f"it is a TIFF of {kind}, which isn't read here. Save it as an 8-bit or 16-bit TIFF or PNG"


def is_odd_compression(content: bytes) -> bool:
    """Whether its main picture is compressed in a way that few programs read."""
    page = next(_pages(content), None)
    return page is not None and _number(page.tags, _COMPRESSION) in _COMPRESSIONS


def _pages(content: bytes) -> Iterator[_Page]:
    """The pages of the chain; ends where the chain is broken or comes back to a page it had."""
    big, order = b"+" in content[2:4], "<" if content[:2] == b"II" else ">"
    try:
        (offset,) = struct.unpack_from(f"{order}{'Q' if big else 'L'}", content, 8 if big else 4)
    except struct.error:
        return
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < _MOST_PAGES:
        seen.add(offset)
        page = _page(content, offset)
        if page is None:
            return
        yield page
        offset = page.tags.next


def _below(content: bytes, parent: _Page) -> list[_Page]:
    value = parent.tags.get(_SUB_IFDS, ())
    offsets = value if isinstance(value, tuple) else (value,)
    found = [_page(content, offset) for offset in offsets[:_MOST_PAGES] if isinstance(offset, int)]
    return [page for page in found if page is not None]


def _page(content: bytes, offset: int) -> _Page | None:
    file = io.BytesIO(content)
    try:
        tags = ImageFileDirectory_v2(content[:16] if b"+" in content[2:4] else content[:8])
        file.seek(offset)
        tags.load(file)
    except (OSError, SyntaxError, ValueError, OverflowError, struct.error, EOFError, TypeError, KeyError, IndexError):
        return None  # whatever broken tags lead to
    return _Page(offset, tags) if len(tags) else None


def _beginning_with(content: bytes, offset: int) -> bytes:
    order = "<" if content[:2] == b"II" else ">"
    if b"+" in content[2:4]:
        first = struct.pack(f"{order}Q", offset)
        return content if content[8:16] == first else content[:8] + first + content[16:]
    first = struct.pack(f"{order}L", offset)
    return content if content[4:8] == first else content[:4] + first + content[8:]


def _raw_name(content: bytes, pages: list[_Page]) -> str:
    if content[8:10] == b"CR":
        return "Canon CR2"
    if any(_DNG_VERSION in page.tags for page in pages):
        return "DNG"
    make = str(pages[0].tags.get(_MAKE, "")).upper()
    return next((name for maker, name in _RAW_OF_MAKERS.items() if maker in make), "such as NEF, CR2, ARW or DNG")


def _number(tags: ImageFileDirectory_v2, tag: int) -> int:
    value = tags.get(tag, 0)
    first = value[0] if isinstance(value, tuple) and value else value
    return int(first) if isinstance(first, int | float) else 0
