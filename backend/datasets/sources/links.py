"""Pictures by their addresses: a list and a label, as one saves them from a search for pictures."""

import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from threading import Event
from typing import Final

from backend.datasets.import_queue.address_lists import ODD_SIGNS
from backend.datasets.import_queue.lists import kept_list
from backend.datasets.ingest import MAX_FILE_BYTES, IncomingFile
from backend.datasets.sources.parallel import in_order
from backend.domain.ids import Digest
from backend.domain.images import as_given, is_junk
from backend.domain.json import Json
from backend.imaging.errors import Refused
from backend.outbound.addresses import parse
from backend.outbound.client import LONGEST_WAIT_S, Answer, Client, Limits
from backend.outbound.errors import Stopped, Unfetched
from backend.storage.base import Storage

TRIES: Final = 3
FIRST_WAIT_S: Final = 2.0
"""Before the second try; then twice as long."""
LIMITS: Final = Limits(bytes=MAX_FILE_BYTES, total_s=120.0)
_LONGEST_NAME: Final = 80
_SUFFIXES: Final = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/bmp": ".bmp",
    "image/tiff": ".tif",
    "image/heic": ".heic",
    "image/avif": ".avif",
}
_PAGES: Final = frozenset({"text/html", "application/xhtml+xml"})
_ARCHIVES: Final = (b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!")
_SECRET: Final = re.compile(r"//[^/?#]*@")


def is_page(answer: Answer, head: bytes) -> bool:
    """Whether what came is a web page."""
    begins = head[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return answer.media_type in _PAGES or begins.startswith((b"<!doctype html", b"<html"))


class LinkFiles:
    """The pictures of a stored list of addresses, some at once, in the list's order."""

    name_encoding = None

    def __init__(
        self, client: Client, storage: Storage, source: Json, wait: Callable[[float], bool] | None = None
    ) -> None:
        self.entries = int(source["entries"])
        self._client, self._storage, self._digest = client, storage, Digest(source["digest"])
        self._ended = Event()
        self._wait = wait or self._ended.wait

    def files(self, skip: int) -> Iterator[IncomingFile]:
        """The pictures after the first ``skip``; what doesn't come has the reason."""
        try:
            yield from in_order(self._bring, kept_list(self._storage, self._digest, skip), abort=self._abort)
        except Stopped:
            return

    def _abort(self) -> None:
        self._ended.set()
        self._client.close()

    def _bring(self, numbered: tuple[int, Json]) -> IncomingFile:
        number, entry = numbered
        shown = _SECRET.sub("//…@", str(entry["url"]))
        for tries in range(1, TRIES + 1):
            try:
                return self._fetch(entry["url"], entry["folder"], number, shown)
            except Unfetched as error:
                is_last = tries == TRIES or not error.is_passing or error.retry_after_s > LONGEST_WAIT_S
                if is_last:
                    return _refused(shown, entry["folder"], number, Refused(error.code, str(error)))
                if self._wait(error.retry_after_s or FIRST_WAIT_S * 2.0 ** (tries - 1)):
                    raise Stopped from error
        raise AssertionError("the last try returns")

    def _fetch(self, url: str, folder: str, number: int, shown: str) -> IncomingFile:
        address = parse(url)
        with self._client.get(address, LIMITS) as answer:
            content = bytearray()
            for chunk in answer.chunks:
                if not content and is_page(answer, chunk):
                    why = Refused("link-is-a-page", "that link answers with a web page, not with pictures")
                    return _refused(shown, folder, number, why)
                if not content and chunk.startswith(_ARCHIVES):
                    why = Refused(
                        "link-is-an-archive", "that link leads to an archive; add it on its own, as an archive"
                    )
                    return _refused(shown, folder, number, why)
                content += chunk
        return IncomingFile(_path(folder, number, address.name, answer.media_type), bytes(content))


def _refused(shown: str, folder: str, number: int, why: Refused) -> IncomingFile:
    # Hidden files are only counted, but an address is never one.
    return IncomingFile(_path(folder, number, "", "") if is_junk(as_given(shown)) else shown, refused=why)


def _path(folder: str, number: int, name: str, media_type: str) -> str:
    """``grizzly/0001-name.jpg``: the number keeps names apart, and the folder gives the label."""
    clean = ODD_SIGNS.sub("-", name).strip(". ")
    suffix = PurePosixPath(clean).suffix.lower()
    if suffix not in {*_SUFFIXES.values(), ".jpeg", ".tiff"}:
        suffix = _SUFFIXES.get(media_type, "")
        stem = clean
    else:
        stem = clean[: -len(suffix)]
    return f"{folder}/{number:04}{'-' if stem else ''}{stem[:_LONGEST_NAME]}{suffix}"
