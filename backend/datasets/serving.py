"""Headers and streaming of uploaded files: browsers may show them as pictures and never run them."""

from collections.abc import Iterator, Mapping
from typing import BinaryIO
from urllib.parse import quote

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


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


def download_headers(name: str) -> dict[str, str]:
    """Headers that have a browser save a file under its own name instead of showing it."""
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}


class FileAnswer(StreamingResponse):
    """A file in pieces; closed however the sending ends, also where the client has gone before the first one."""

    def __init__(self, file: BinaryIO, media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(_pieces(file), media_type=media_type, headers=headers)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(1 << 16):
        yield chunk
