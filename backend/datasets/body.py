"""Read a long request body in a thread of its own, without blocking other requests and without filling memory."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import anyio.from_thread
import anyio.to_thread
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from backend.counters import UPLOAD_BYTES
from backend.datasets.errors import MalformedUpload, UploadTooLarge
from backend.datasets.ingest import MAX_FILE_BYTES, IncomingFile
from backend.domain.images import name_in_form

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_UPLOAD_BYTES: Final = 4 << 30
"""Bytes of one multipart upload; the page sends bundles of 16 MB, programs may send more."""
MAX_FILES: Final = 100_000
_MAX_HEADER: Final = 256 * 1024

Answer = TypeVar("Answer")


async def read_in_thread(
    request: Request, work: Callable[[Iterator[bytes]], Answer], body: AsyncIterator[bytes] | None = None
) -> Answer:
    """What ``work`` makes of the body's chunks (or of ``body``); it runs in a thread and may block."""
    stream = body or request.stream().__aiter__()

    async def next_chunk() -> bytes | None:
        try:
            return await anext(stream)
        except StopAsyncIteration:
            return None

    def chunks() -> Iterator[bytes]:
        while (chunk := anyio.from_thread.run(next_chunk)) is not None:
            if chunk:
                UPLOAD_BYTES.inc(len(chunk))
                yield chunk

    return await anyio.to_thread.run_sync(lambda: work(chunks()), limiter=_limiter(request))


def _limiter(request: Request) -> anyio.CapacityLimiter:
    # Belongs to an event loop, so it lives with the application and not with the module.
    state = request.app.state
    if not hasattr(state, "upload_limiter"):
        # Threads that mostly wait for their sender; what they give is decoded by the few of the pool.
        state.upload_limiter = anyio.CapacityLimiter(256)
    limiter: anyio.CapacityLimiter = state.upload_limiter
    return limiter


def limited(chunks: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """``chunks``, until they are more than ``limit`` bytes. Raises UploadTooLarge."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > limit:
            raise UploadTooLarge(limit)
        yield chunk


def files_of_form(chunks: Iterator[bytes], content_type: str) -> Iterator[IncomingFile]:
    """The parts named ``files`` of a multipart form, one after the other; each part's file name is its path.

    Raises:
        MalformedUpload: it isn't such a form.
        UploadTooLarge: it has more bytes than one request may have.
    """
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise MalformedUpload
    form = _Form()
    try:
        parser = MultipartParser(options[b"boundary"], form.callbacks(), max_header_size=_MAX_HEADER)
        for chunk in limited(chunks, MAX_UPLOAD_BYTES):
            # Small steps, so that a body of many tiny parts doesn't become a long list.
            for at in range(0, len(chunk), 65_536):
                parser.write(chunk[at : at + 65_536])
                yield from form.take()
    except FormParserError as error:
        raise MalformedUpload from error
    if not form.is_complete:
        raise MalformedUpload
    yield from form.take()


class _Form:
    """Gathers the parts that a multipart parser reports."""

    def __init__(self) -> None:
        self.is_complete = False
        self._ready: list[IncomingFile] = []
        self._files = 0
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        self._path: str | None = None
        self._content = bytearray()
        self._size = 0

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def take(self) -> Iterator[IncomingFile]:
        ready, self._ready = self._ready, []
        return iter(ready)

    def _begin(self) -> None:
        self._headers, self._path, self._content, self._size = {}, None, bytearray(), 0

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _headers_finished(self) -> None:
        header = self._headers.get(b"content-disposition", b"")
        # As slashes: of a path from Windows, the parser would keep the last part only. ``\\"`` is a quotation mark.
        _, options = parse_options_header(re.sub(rb"\\(?!\")", b"/", header))
        if options.get(b"name") == b"files" and b"filename" in options:
            self._path = name_in_form(options[b"filename"].decode("utf-8", "replace"))
            self._files += 1
            if self._files > MAX_FILES:
                raise MalformedUpload

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        # One byte more than allowed is kept, so that a file that is too large can be recognised.
        room = MAX_FILE_BYTES + 1 - len(self._content)
        if self._path is not None and room > 0:
            self._content += data[start : min(end, start + room)]

    def _end(self) -> None:
        if self._path is not None:
            self._ready.append(IncomingFile(self._path, bytes(self._content)))

    def _complete(self) -> None:
        self.is_complete = True
