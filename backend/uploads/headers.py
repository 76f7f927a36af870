"""The headers of the tus protocol: what a request says, or a refusal that names the header and what is accepted."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from enum import StrEnum
from typing import Final

from backend.datasets.imports import MAX_ARCHIVE_BYTES
from backend.datasets.ingest import MAX_FILE_BYTES
from backend.domain.images import MAX_PATH, as_given, as_text
from backend.uploads.errors import FileTooLarge, HeaderInvalid

VERSION: Final = "1.0.0"
BYTES: Final = "application/offset+octet-stream"
CHECKSUMS: Final = ("sha256", "sha1")
MAX_CHECKED: Final = 64 << 20
"""Bytes that one checksum may cover: they are kept only once all of them have come."""
_MAX_METADATA: Final = 32 << 10
_MAX_FINGERPRINT: Final = 255
_NUMBER: Final = re.compile(r"[0-9]{1,30}")
_ARCHIVE: Final = re.compile(r"\.(zip|tar|tgz|tar\.gz)$", re.IGNORECASE)
_PAIRS: Final = (
    "“dataset” (an id), “path” and, if it can't be seen from the name, “kind” (archive or picture), in Base64"
)


class Kind(StrEnum):
    """What a file becomes once all of it has come."""

    ARCHIVE = "archive"
    PICTURE = "picture"

    @property
    def max_bytes(self) -> int:
        """Bytes that a file of this kind may have."""
        return MAX_ARCHIVE_BYTES if self is Kind.ARCHIVE else MAX_FILE_BYTES


@dataclass(frozen=True, slots=True)
class NewUpload:
    """What a client announces.

    Attributes:
        path: name within the dataset, folders included.
        length: bytes in all.
        fingerprint: by which the client finds the upload again; None where it won't.
        given_metadata: the header as it came.
    """

    dataset_id: str
    path: str
    kind: Kind
    length: int
    fingerprint: str | None
    given_metadata: str


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a PATCH says of its bytes."""

    algorithm: str
    digest: bytes

    def is_of(self, content: "Hasher") -> bool:
        """Whether the bytes that were hashed are those that were sent."""
        return content.digest() == self.digest

    def hasher(self) -> "Hasher":
        """To be fed with the bytes."""
        return Hasher(self.algorithm)


class Hasher:
    """Bytes that are checked as they come."""

    def __init__(self, algorithm: str) -> None:
        self._hash = hashlib.new(algorithm, usedforsecurity=False)

    def update(self, content: bytes) -> None:
        """More bytes."""
        self._hash.update(content)

    def digest(self) -> bytes:
        """Of all bytes so far."""
        return self._hash.digest()


def new_upload(headers: Mapping[str, str]) -> NewUpload:
    """The upload that a POST announces.

    Raises:
        HeaderInvalid
        FileTooLarge: it is longer than a file of its kind may be.
    """
    if "upload-concat" in headers or "upload-defer-length" in headers:
        raise HeaderInvalid("Upload-Length", "the file's size; lengths that follow later and parts aren't supported")
    given = headers.get("upload-metadata", "")
    metadata = parse_metadata(given)
    path, dataset_id = metadata.get("path") or metadata.get("filename") or "", metadata.get("dataset", "")
    if not path or not 0 < len(dataset_id) <= 64 or len(path) > MAX_PATH:
        raise HeaderInvalid("Upload-Metadata", _PAIRS)
    kind = _kind(metadata.get("kind"), path)
    length = number(headers, "upload-length")
    if length == 0:
        raise HeaderInvalid("Upload-Length", "a size of at least one byte")
    if length > kind.max_bytes:
        raise FileTooLarge(path, length, kind.max_bytes)
    fingerprint = metadata.get("fingerprint") or None
    if fingerprint and len(fingerprint) > _MAX_FINGERPRINT:
        raise HeaderInvalid("Upload-Metadata", f"a “fingerprint” of at most {_MAX_FINGERPRINT} characters")
    return NewUpload(dataset_id, as_given(path), kind, length, fingerprint, given)


def parse_metadata(given: str) -> dict[str, str]:
    """Names and values of an ``Upload-Metadata`` header. Raises HeaderInvalid."""
    if not given or len(given) > _MAX_METADATA or not given.isascii():
        raise HeaderInvalid("Upload-Metadata", _PAIRS)
    found: dict[str, str] = {}
    for pair in given.split(","):
        name, _, value = pair.strip().partition(" ")
        if not name or not name.isprintable() or name in found:
            raise HeaderInvalid("Upload-Metadata", _PAIRS)
        found[name] = as_text(_decoded(value.strip()).decode("utf-8", "replace"))
    return found


def _decoded(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HeaderInvalid("Upload-Metadata", _PAIRS) from error


def _kind(given: str | None, path: str) -> Kind:
    if given is None:
        return Kind.ARCHIVE if _ARCHIVE.search(path) else Kind.PICTURE
    try:
        return Kind(given)
    except ValueError as error:
        raise HeaderInvalid("Upload-Metadata", _PAIRS) from error


def number(headers: Mapping[str, str], name: str) -> int:
    """A header with a number of bytes. Raises HeaderInvalid."""
    given = headers.get(name, "")
    if not _NUMBER.fullmatch(given):
        raise HeaderInvalid(name.title(), "a whole number, 0 or larger")
    return int(given)


def checksum(headers: Mapping[str, str]) -> Checksum | None:
    """The checksum that came with the bytes, if any. Raises HeaderInvalid."""
    given = headers.get("upload-checksum")
    if given is None:
        return None
    algorithm, _, value = given.partition(" ")
    accepted = f"{' or '.join(CHECKSUMS)}, a space, and the checksum in Base64"
    if algorithm not in CHECKSUMS:
        raise HeaderInvalid("Upload-Checksum", accepted)
    try:
        digest = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HeaderInvalid("Upload-Checksum", accepted) from error
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise HeaderInvalid("Upload-Checksum", accepted)
    return Checksum(algorithm, digest)


def http_date(time: datetime) -> str:
    """A time as headers have it."""
    return format_datetime(time, usegmt=True)
