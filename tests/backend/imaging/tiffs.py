"""TIFF files written tag by tag, of kinds that Pillow doesn't write."""

import struct
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Order = Literal["<", ">"]
Tags = Mapping[int, int | float | bytes]


def tiff(*pages: tuple[NDArray[np.generic], Tags], order: Order = "<") -> bytes:
    """A TIFF whose pages are greys or (H, W, channels), each with tags besides the usual ones."""
    file = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 0)
    link = 4
    for pixels, tags in pages:
        file, at = _with_page(file, pixels, tags, order)
        file = file[:link] + struct.pack(f"{order}I", at) + file[link + 4 :]
        link = len(file) - 4
    return file


def with_page_below(file: bytes, pixels: NDArray[np.generic], tags: Tags, order: Order = "<") -> tuple[bytes, int]:
    """The file with a page that is in no chain, and where that page begins (for tag 330 of another)."""
    return _with_page(file or struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 0), pixels, tags, order)


def _with_page(file: bytes, pixels: NDArray[np.generic], tags: Tags, order: Order) -> tuple[bytes, int]:
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    formats = {"u": 1, "i": 2, "f": 3}
    start = len(file) + len(file) % 2
    file = file.ljust(start, b"\0") + data + b"\0" * (len(data) % 2)
    all_tags: dict[int, int | float | bytes | Sequence[int]] = {
        256: pixels.shape[1],
        257: pixels.shape[0],
        258: [pixels.dtype.itemsize * 8] * channels,
        259: 1,
        262: 1 if channels == 1 else 2,
        273: start,
        277: channels,
        278: pixels.shape[0],
        279: len(data),
        339: [formats[pixels.dtype.kind]] * channels,
        **tags,
    }
    entries = b""
    for tag, value in sorted(all_tags.items()):
        kind, count, content = _value(tag, value, order)
        if len(content) > 4:
            at, file = len(file), file + content + b"\0" * (len(content) % 2)
            content = struct.pack(f"{order}I", at)
        entries += struct.pack(f"{order}HHI", tag, kind, count) + content.ljust(4, b"\0")
    return file + struct.pack(f"{order}H", len(all_tags)) + entries + bytes(4), len(file)


def _value(tag: int, value: int | float | bytes | Sequence[int], order: Order) -> tuple[int, int, bytes]:
    if isinstance(value, bytes):
        return 2, len(value), value
    if isinstance(value, float):
        return 11, 1, struct.pack(f"{order}f", value)
    if isinstance(value, int):
        return (
            (4, 1, struct.pack(f"{order}I", value))
            if tag in (273, 279, 330)
            else (3, 1, struct.pack(f"{order}H", value))
        )
    return 3, len(value), struct.pack(f"{order}{len(value)}H", *value)
