"""How bytes of strangers are sent: as pictures and as nothing else."""

from collections.abc import Iterator
from typing import BinaryIO


def picture_headers(tag: str) -> dict[str, str]:
    """Headers of a picture whose content never changes; ``tag`` names that content.

    The type comes from our own detection and browsers must not guess another; opened
    on its own, a picture can run and load nothing.
    """
    return {
        "Cache-Control": "private, max-age=31536000, immutable",
        "ETag": f'"{tag}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Content-Disposition": "inline",
    }


def stream(file: BinaryIO) -> Iterator[bytes]:
    """A file in pieces; closed at the end."""
    with file:
        while chunk := file.read(1 << 16):
            yield chunk
