"""Lists of addresses with a label: as a request brings them, or as a text file for each class."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from backend.datasets.import_queue.errors import LabelUnusable, NoAddresses, TooManyAddresses
from backend.datasets.import_queue.lists import keep_list
from backend.domain.ids import Digest
from backend.domain.images import is_junk
from backend.storage.base import Storage

MOST_ADDRESSES: Final = 100_000
LABEL_WITHOUT: Final = "links"
"""The folder of pictures that come without a label."""
ODD_SIGNS: Final = re.compile(r"[\x00-\x1f\x7f/\\:*?\"<>|]+")
_LONGEST_LABEL: Final = 100
_SUFFIXES: Final = frozenset({".txt", ".csv", ".urls"})
_ADDRESS: Final = re.compile(r"https?://[^\s\"',;]+", re.IGNORECASE)
_ASIDE: Final = re.compile(r"^(urls?|links?)[-_ ]+|[-_ ]+(urls?|links?)$", re.IGNORECASE)


def keep_addresses(storage: Storage, addresses: Sequence[str], label: str) -> tuple[Digest, int]:
    """Store a list of addresses for an import; its digest and how many there are.

    Raises:
        NoAddresses, TooManyAddresses, LabelUnusable
    """
    wanted = [address.strip() for address in addresses if address.strip()]
    if not wanted:
        raise NoAddresses
    if len(wanted) > MOST_ADDRESSES:
        raise TooManyAddresses(len(wanted), MOST_ADDRESSES)
    folder = folder_of(label)
    return keep_list(storage, ({"url": address, "folder": folder} for address in wanted))


def folder_of(label: str) -> str:
    """The folder by whose name pictures get their label. Raises LabelUnusable."""
    if not label.strip():
        return LABEL_WITHOUT
    folder = ODD_SIGNS.sub("-", label.strip()).strip(". ")
    if len(folder) > _LONGEST_LABEL or not any(sign.isalnum() for sign in folder) or is_junk(folder):
        raise LabelUnusable
    return folder


def addresses_in(path: str, content: bytes) -> list[str]:
    """The addresses in a file that holds nothing else, one a line; of any other file none."""
    head = content[:64].lstrip(b"\xef\xbb\xbf\"' \t\r\n").lower()
    if PurePosixPath(path).suffix.lower() not in _SUFFIXES or not head.startswith((b"http://", b"https://")):
        return []
    text = content.decode("utf-8-sig", "replace")
    lines = [line.strip(" \t,;\"'") for line in text.splitlines()]
    addresses = [line for line in lines if line]
    return addresses if all(_ADDRESS.fullmatch(line) for line in addresses) else []


def label_in(path: str) -> str:
    """The label that a list's file name gives: ``grizzly`` of ``bears/urls_grizzly.txt``."""
    label = _ASIDE.sub("", PurePosixPath(path).stem)
    try:
        return folder_of(label[:_LONGEST_LABEL])
    except LabelUnusable:
        return LABEL_WITHOUT
