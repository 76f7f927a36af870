"""Where bytes are kept. Keys are made by us; no name that a user gave ever becomes one."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from backend.domain.ids import Digest

KEEP_FREE: Final = 200_000_000
"""Bytes that stay free on the disk, whatever is brought in."""


class Storage(Protocol):
    """Blobs under their SHA-256, and folders of derived files under ids of ours."""

    def put_bytes(self, content: bytes) -> Digest:
        """Keep ``content`` durably; the same bytes twice are kept once."""

    def put_all(self, contents: Sequence[bytes]) -> list[Digest]:
        """Keep several durably, with one wait for the disk."""

    def put_stream(self, chunks: Iterator[bytes]) -> tuple[Digest, int]:
        """Keep a stream durably; its digest and size in bytes."""

    def adopt(self, file: Path) -> tuple[Digest, int]:
        """Keep a file that lies in a folder of this storage; it is moved, not copied. Its digest and size in bytes."""

    def open_blob(self, digest: Digest) -> BinaryIO:
        """A seekable file of the blob's bytes."""

    def read_blob(self, digest: Digest) -> bytes:
        """All of a blob's bytes."""

    def has_blob(self, digest: Digest) -> bool:
        """Whether a blob is there."""

    def delete_blob(self, digest: Digest) -> None:
        """Forget a blob; nothing happens where there is none."""

    def folder(self, kind: str, name: str) -> Path:
        """A local folder for derived files (``checkpoints``, ``thumbnails`` …); ``name`` is an id of ours."""

    def delete_folder(self, kind: str, name: str) -> None:
        """Forget a folder of derived files; nothing happens where there is none."""

    def free_bytes(self) -> int:
        """Room that is left."""

    def disk_bytes(self) -> int:
        """Size of the disk, used or not."""
