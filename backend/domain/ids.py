"""Identifiers. Opaque to callers; made so that sorting them sorts by time of creation."""

from typing import NewType

from uuid6 import uuid7

DatasetId = NewType("DatasetId", str)
ImageId = NewType("ImageId", str)
ImportId = NewType("ImportId", str)
VersionId = NewType("VersionId", str)
JobId = NewType("JobId", str)
RunId = NewType("RunId", str)
CheckpointId = NewType("CheckpointId", str)
TokenId = NewType("TokenId", str)
SessionId = NewType("SessionId", str)

Digest = NewType("Digest", str)
"""SHA-256 of an image's bytes, 64 lower-case hexadecimal digits."""


def new_id() -> str:
    """A fresh identifier: 32 hexadecimal digits, later ones sort after earlier ones."""
    return uuid7().hex
