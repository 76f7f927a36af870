"""One file by the tus protocol: found again on the server, continued where it was, each part with its checksum."""

import base64
import hashlib
from collections.abc import Callable
from typing import Any, BinaryIO, Final

import httpx

from backend.domain.json import Json
from backend.upload_command.client import Client
from backend.upload_command.errors import Refused
from backend.upload_command.files import LocalFile

_LARGEST_PART: Final = 16 << 20
_SMALLEST_PART: Final = 256 << 10
_TUS: Final = {"Tus-Resumable": "1.0.0"}
_EXPIRED: Final = 410
_ASK_AGAIN: Final = frozenset({409, 423, 429, 460, 502, 503, 504})


def send_resumable(
    client: Client, dataset_id: str, file: LocalFile, kind: str, on_offset: Callable[[int], None]
) -> dict[str, Json]:
    """The server's view of an upload that is complete.

    Args:
        kind: archive or picture.
        on_offset: called with the number of bytes that have arrived.

    Raises:
        Refused, NoServer
        OSError: the file can't be read.
    """
    upload_id = _begun(client, dataset_id, file, kind) or _announced(client, dataset_id, file, kind)
    while True:
        try:
            return _continued(client, upload_id, file, on_offset)
        except Refused as refused:
            if refused.status != _EXPIRED:
                raise
        upload_id = _announced(client, dataset_id, file, kind)


def _continued(client: Client, upload_id: str, file: LocalFile, on_offset: Callable[[int], None]) -> dict[str, Json]:
    offset = offset_of(client, upload_id)
    parts = _Parts(client, upload_id)
    with file.file.open("rb") as content:
        while offset < file.size:
            on_offset(offset)
            offset = parts.send_from(content, offset, file.size)
    on_offset(offset)
    return client.json("GET", f"/uploads/{upload_id}")


def earlier_import(client: Client, dataset_id: str, file: LocalFile) -> str | None:
    """The import that the same archive became within the last week; None where it didn't."""
    found = [one for one in _uploads_of(client, dataset_id, file, "archive", complete=True) if one["import_id"]]
    return str(found[0]["import_id"]) if found else None


def _begun(client: Client, dataset_id: str, file: LocalFile, kind: str) -> str | None:
    same = _uploads_of(client, dataset_id, file, kind, complete=False)
    return max(same, key=lambda one: one["offset"])["id"] if same else None


def _uploads_of(
    client: Client, dataset_id: str, file: LocalFile, kind: str, *, complete: bool
) -> list[dict[str, Json]]:
    query = {"dataset": dataset_id, "fingerprint": file.fingerprint(), "complete": complete}
    found: Any = client.json("GET", "/uploads", params=query)["items"]  # Any: JSON
    return [one for one in found if one["bytes"] == file.size and one["kind"] == kind]


def _announced(client: Client, dataset_id: str, file: LocalFile, kind: str) -> str:
    values = {"dataset": dataset_id, "path": file.path, "kind": kind, "fingerprint": file.fingerprint()}
    metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())
    headers = {**_TUS, "Upload-Length": str(file.size), "Upload-Metadata": metadata}
    return str(client.json("POST", "/uploads", headers=headers)["id"])


class _Parts:
    """Sends parts, smaller ones where they are cut off: with a checksum, a part arrives as a whole or not at all."""

    def __init__(self, client: Client, upload_id: str) -> None:
        self._client, self._upload_id = client, upload_id
        self._size = _LARGEST_PART
        self._without_progress = 0

    def send_from(self, file: BinaryIO, offset: int, end: int) -> int:
        """Send the next part; the offset after it, as the server has it. Raises Refused, NoServer, OSError."""
        file.seek(offset)
        part = file.read(min(self._size, end - offset))
        try:
            answer = self._client.once(
                "PATCH", f"/uploads/{self._upload_id}", headers=_headers(offset, part), content=part
            )
        except (httpx.TransportError, Refused) as error:
            if isinstance(error, Refused) and error.status not in _ASK_AGAIN:
                raise
            self._size = max(_SMALLEST_PART, self._size // 4)
            reached = offset_of(self._client, self._upload_id)
            self._without_progress = 0 if reached > offset else self._without_progress + 1
            if self._without_progress:
                self._client.wait_before_try(self._without_progress, error)
            return reached
        self._size, self._without_progress = min(_LARGEST_PART, 2 * self._size), 0
        return int(answer.headers["upload-offset"])


def offset_of(client: Client, upload_id: str) -> int:
    """How many bytes of an upload have arrived. Raises Refused, NoServer."""
    answer = client.persist(lambda: client.once("HEAD", f"/uploads/{upload_id}", headers=_TUS))
    return int(answer.headers["upload-offset"])


def _headers(offset: int, part: bytes) -> dict[str, str]:
    return {
        **_TUS,
        "Content-Type": "application/offset+octet-stream",
        "Upload-Offset": str(offset),
        "Upload-Checksum": f"sha256 {base64.b64encode(hashlib.sha256(part).digest()).decode()}",
    }
