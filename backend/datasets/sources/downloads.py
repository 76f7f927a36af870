"""Archives by their addresses. A download that breaks off goes on where it was, in this process or the next one."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import BinaryIO, Final

from backend.datasets.archives.reading import kind_of
from backend.datasets.sources.errors import DownloadDiffers, DownloadFailed, LinkIsPage
from backend.datasets.sources.links import is_page
from backend.domain.errors import NoRoom
from backend.outbound.client import LONGEST_WAIT_S, Answer, Client, Limits
from backend.outbound.errors import Unfetched, broke_off, too_large
from backend.storage.base import KEEP_FREE, Storage

MAX_DOWNLOAD_BYTES: Final = 50 << 30
_WAITS_S: Final = (2.0, 5.0, 10.0, 20.0, 30.0)
_HEAD: Final = 512
_CHECKED_EVERY: Final = 16 << 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file to be downloaded.

    Attributes:
        what: what sentences call it, "The archive" for example.
        size, md5: what it must be, where that is known.
    """

    url: str
    what: str
    size: int | None = None
    md5: str = ""
    is_sample: bool = False


class Download:
    """Brings one archive into a folder.

    Args:
        folder: where the part that has come is kept.
        note: called with (bytes that are here, bytes in all or 0 where that isn't known).
        wait: lets some seconds pass.
    """

    def __init__(
        self,
        client: Client,
        storage: Storage,
        folder: Path,
        wanted: Wanted,
        *,
        note: Callable[[int, int], None] = lambda _done, _total: None,
        wait: Callable[[float], None] = sleep,
    ) -> None:
        self._client, self._storage, self._wanted = client, storage, wanted
        self._partial, self._mark = folder / "partial", folder / "mark.json"
        self._note, self._wait = note, wait

    def run(self) -> Path:
        """The file, whole and checked.

        Raises:
            LinkIsPage, NotAnArchive, DownloadFailed, DownloadDiffers, NoRoom, Stopped
        """
        failures = 0
        while True:
            before = self._here()
            try:
                self._fetch(before)
                break
            except Unfetched as error:
                if error.code == "link-changed":
                    self._forget()
                # What comes bit by bit comes in the end.
                failures = 1 if self._here() > before else failures + 1
                if not error.is_passing or failures > len(_WAITS_S) or error.retry_after_s > LONGEST_WAIT_S:
                    sample_url = self._wanted.url if self._wanted.is_sample else ""
                    raise DownloadFailed(self._wanted.what, error, sample_url=sample_url) from error
                self._wait(error.retry_after_s or _WAITS_S[failures - 1])
        self._check()
        return self._partial

    def _here(self) -> int:
        return self._partial.stat().st_size if self._partial.exists() else 0

    def _forget(self) -> None:
        self._partial.unlink(missing_ok=True)
        self._mark.unlink(missing_ok=True)

    def _fetch(self, start: int) -> None:
        if self._wanted.size is not None and start == self._wanted.size:
            return
        if start < _HEAD:
            start = 0  # its kind shows at its beginning
        mark = json.loads(self._mark.read_bytes()) if start and self._mark.exists() else ""
        headers = {"Range": f"bytes={start}-", "If-Range": mark} if start and mark else {}
        with self._client.get(self._wanted.url, Limits(bytes=MAX_DOWNLOAD_BYTES), headers) as answer:
            if answer.status != 206 or not answer.headers.get("content-range", "").startswith(f"bytes {start}-"):
                start = 0
            total = self._wanted.size or (start + answer.size if answer.size is not None else 0)
            self._check_room(total - start)
            self._mark.write_text(json.dumps(_mark(answer)))
            with self._partial.open("ab" if start else "wb") as file:
                self._write(answer, file, start, total)

    def _write(self, answer: Answer, file: BinaryIO, done: int, total: int) -> None:
        head, checked = b"", done
        for chunk in answer.chunks:
            if done < _HEAD:
                head += chunk
                if is_page(answer, head):
                    raise LinkIsPage
                if len(head) >= _HEAD:
                    kind_of(head[:_HEAD])
            file.write(chunk)
            done += len(chunk)
            # An answer of many parts is limited as a whole, and one of unknown length as it comes.
            if done > MAX_DOWNLOAD_BYTES:
                raise too_large(MAX_DOWNLOAD_BYTES)
            if not total and done - checked >= _CHECKED_EVERY:
                self._check_room(0)
                checked = done
            self._note(done, total)
        if done < _HEAD:
            kind_of(head)
        if total and done < total:
            raise broke_off()

    def _check_room(self, coming: int) -> None:
        free = self._storage.free_bytes()
        if free - coming < KEEP_FREE:
            error = NoRoom(free)
            error.details["needed_bytes"] = coming + KEEP_FREE
            raise error

    def _check(self) -> None:
        wanted = self._wanted
        is_right = wanted.size in (None, self._here())
        if is_right and wanted.md5:
            with self._partial.open("rb") as file:
                # Against files that arrive damaged; the publishers give no better sum.
                is_right = hashlib.file_digest(file, _md5).hexdigest() == wanted.md5
        if not is_right:
            self._forget()
            raise DownloadDiffers(wanted.what)


def _md5() -> "hashlib._Hash":
    return hashlib.md5(usedforsecurity=False)


def _mark(answer: Answer) -> str:
    """By what the server recognises this very file; a weak mark says only that it is much the same."""
    tag = answer.headers.get("etag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("last-modified", "")
