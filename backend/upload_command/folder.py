"""A folder: its files in bundles, several at a time, and only those that the dataset hasn't got."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from backend.domain.json import Json
from backend.upload_command.client import Client
from backend.upload_command.errors import Refused
from backend.upload_command.files import LARGE, LocalFile, bundles
from backend.upload_command.resumable import send_resumable

_AT_ONCE: Final = 3
_OF_ONE_FILE: Final = frozenset({413, 422})
"""Refusals of one large file, which are no reason to stop the others."""


@dataclass(slots=True)
class Outcome:
    """What became of the files; ``left_out`` has their names with the reasons."""

    files: int = 0
    added: int = 0
    already_there: int = 0
    ignored: int = 0
    tables: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)


class FolderUpload:
    """Sends files into a dataset.

    ``on_progress`` is called with the number of bytes that were dealt with since the last call.
    """

    def __init__(
        self, client: Client, dataset_id: str, *, asks_first: bool, on_progress: Callable[[int], None]
    ) -> None:
        self._client, self._dataset_id = client, dataset_id
        self._asks_first, self._on_progress = asks_first, on_progress
        self._lock = threading.Lock()
        self.outcome = Outcome()

    def send(self, files: Iterable[LocalFile]) -> Outcome:
        """Send all of them. Raises Refused, NoServer."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            under_way: set[Future[None]] = set()
            try:
                for bundle in bundles(files):
                    under_way.add(pool.submit(self._send_bundle, bundle))
                    if len(under_way) > _AT_ONCE:
                        done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                        for future in done:
                            future.result()
                for future in under_way:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return self.outcome

    def _send_bundle(self, bundle: Sequence[LocalFile]) -> None:
        readable = [file for file in bundle if self._is_readable(file)]
        is_repeated = False

        def attempt() -> httpx.Response:
            nonlocal is_repeated, readable
            if self._asks_first or is_repeated:
                # After a cut the answer may be lost, and not the files.
                missing = self._missing(readable)
                self._note({"already_there": len(readable) - len(missing)})
                readable = missing
            is_repeated = True
            return self._posted(readable)

        if len(bundle) == 1 and bundle[0].size > LARGE:
            self._send_large(readable)
        else:
            answer: Any = self._client.persist(attempt)  # Any: JSON
            self._note(answer.json() if answer.content else {})
        with self._lock:
            self.outcome.files += len(bundle)
        self._on_progress(sum(file.size for file in bundle))

    def _send_large(self, files: Sequence[LocalFile]) -> None:
        for file in self._missing(files) if self._asks_first and files else files:
            try:
                done: Any = send_resumable(self._client, self._dataset_id, file, "picture", lambda _offset: None)
            except Refused as refused:
                if refused.status not in _OF_ONE_FILE:
                    raise
                self._note({"rejected": [{"path": file.path, "message": refused.message}]})
            else:
                self._note(done["result"] or {})
            return
        self._note({"already_there": len(files)})

    def _posted(self, files: Sequence[LocalFile]) -> httpx.Response:
        if not files:
            return httpx.Response(204)
        with ExitStack() as stack:
            parts = [("files", (file.path, stack.enter_context(file.file.open("rb")))) for file in files]
            return self._client.once("POST", f"/datasets/{self._dataset_id}/images", files=parts)

    def _missing(self, files: Sequence[LocalFile]) -> list[LocalFile]:
        if not files:
            return []
        body = {"paths": [file.path for file in files], "bytes": [file.size for file in files]}
        known: Any = self._client.json("POST", f"/datasets/{self._dataset_id}/images/present", json=body)["sha256"]
        return [file for file, hashes in zip(files, known, strict=True) if not hashes or file.sha256() not in hashes]

    def _is_readable(self, file: LocalFile) -> bool:
        try:
            file.file.open("rb").close()
        except OSError as error:
            self._note({"rejected": [{"path": file.path, "message": f"It can't be read here: {error.strerror}."}]})
            return False
        return True

    def _note(self, answer: dict[str, Json]) -> None:
        with self._lock:
            self.outcome.added += answer.get("added", 0)
            self.outcome.already_there += answer.get("already_there", 0)
            self.outcome.ignored += answer.get("ignored", 0)
            self.outcome.tables += answer.get("tables", 0)
            self.outcome.left_out += [(one["path"], one["message"]) for one in answer.get("rejected", [])]
