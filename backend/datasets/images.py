"""Serve pictures: the file as it was brought, and small copies."""

from sqlalchemy.orm import Session

from backend.datasets.ingest import thumbnail_name
from backend.datasets.repository import DatasetRepository
from backend.domain.ids import Digest
from backend.imaging.decoding import decode
from backend.imaging.thumbnails import thumbnails
from backend.storage.base import Storage
from backend.storage.local import write_file
from backend.tables.datasets import ImageRow


def find_image(session: Session, image_id: str) -> ImageRow:
    """Raises ImageNotFound."""
    return DatasetRepository(session).image(image_id)


def thumbnail(storage: Storage, digest: Digest, side: int) -> bytes:
    """A small copy as WebP; made anew where it got lost."""
    folder = storage.folder("thumbnails", digest[:2])
    place = folder / thumbnail_name(digest, side)
    try:
        return place.read_bytes()
    except FileNotFoundError:
        # The file was decoded once in a process of its own, so it may be decoded here.
        made = thumbnails(decode(storage.read_blob(digest))[1])
        for size, content in made.items():
            write_file(folder / thumbnail_name(digest, size), content)
        return made[side]
