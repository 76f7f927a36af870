"""Addresses of pictures, below the application's root; ``root_path`` goes in front where a proxy adds one."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

API: Final = "/api/v1"


def image_url(image_id: str, digest: str | None = None) -> str:
    """The picture to look at; with its digest, browsers may keep it for ever."""
    return f"{API}/images/{image_id}/file{_version(digest)}"


def original_url(image_id: str, digest: str | None = None) -> str:
    """The original file, as a download."""
    version = f"&v={digest}" if digest else ""
    return f"{API}/images/{image_id}/file?original=true{version}"


def thumbnail_url(image_id: str, size: int = 192, digest: str | None = None) -> str:
    """The picture made small: 192 pixels for grids, 768 for looking closely."""
    version = f"&v={digest}" if digest else ""
    return f"{API}/images/{image_id}/thumbnail?size={size}{version}"


def batch_image_url(
    version_id: str, image_id: str, *, seed: int, augmented: bool, size: int, changes: Mapping[str, str] | None = None
) -> str:
    """One picture of a batch, as the network sees it; ``changes`` are those that aren't the usual ones."""
    query = f"seed={seed}&augmented={'true' if augmented else 'false'}&size={size}"
    query = f"{query}&{urlencode(changes)}" if changes and augmented else query
    return f"{API}/versions/{version_id}/batch/{image_id}.png?{query}"


def _version(digest: str | None) -> str:
    return f"?v={digest}" if digest else ""
