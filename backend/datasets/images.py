"""Find pictures and serve them: original files, copies that browsers can show, and thumbnails."""

import os
from collections.abc import Mapping, Sequence
from typing import TypeVar

from sqlalchemy.orm import Session

from backend.datasets.errors import ImageFileMissing, PictureUnreadable
from backend.datasets.ingest import thumbnail_name
from backend.datasets.repository import DatasetRepository
from backend.datasets.serving import FileAnswer
from backend.domain.ids import Digest
from backend.domain.images import as_given
from backend.imaging.errors import Refused
from backend.imaging.pool import DecodingPool
from backend.imaging.tasks import large_copy, small_copy
from backend.imaging.thumbnails import VIEW
from backend.storage.base import Storage
from backend.storage.local import write_file
from backend.tables.datasets import DatasetRow, ImageRow

Answer = TypeVar("Answer")


def find_image(session: Session, image_id: str) -> ImageRow:
    """Raises ImageNotFound."""
    return DatasetRepository(session).image(image_id)


def find_dataset(session: Session, dataset_id: str) -> DatasetRow:
    """A dataset that isn't being deleted; for features that don't use our repository. Raises DatasetNotFound."""
    return DatasetRepository(session).get(dataset_id)


def digests_of(session: Session, image_ids: Sequence[str]) -> list[Digest]:
    """The SHA-256 of these pictures' files, in no order; pictures that are gone have none."""
    return DatasetRepository(session).digests(image_ids)


def kept_thumbnail(storage: Storage, digest: Digest, side: int) -> bytes | None:
    """A small copy where there is one; nothing is decoded."""
    try:
        return (storage.folder("thumbnails", digest[:2]) / thumbnail_name(digest, side)).read_bytes()
    except FileNotFoundError:
        return None


def present_files(session: Session, dataset_id: str, paths: Sequence[str], sizes: Sequence[int]) -> list[list[str]]:
    """For each path, the SHA-256 of the dataset's files with that path and size; none where there is no such file.

    A client compares the hash with its own file's: two pictures of one name and size may differ.

    Raises:
        DatasetNotFound
    """
    repository = DatasetRepository(session)
    repository.get(dataset_id)
    known = [as_given(path) for path in paths]
    found = repository.files_named(dataset_id, known)
    return [
        sorted(file.digest for file in found.get(path, ()) if file.bytes == size)
        for path, size in zip(known, sizes, strict=True)
    ]


def content_of(storage: Storage, digest: Digest) -> bytes:
    """All bytes of a picture's file.

    Raises:
        ImageFileMissing
    """
    try:
        return storage.read_blob(digest)
    except FileNotFoundError:
        raise ImageFileMissing from None


def or_raised(answer: Answer | Refused) -> Answer:
    """What a decoding process answered about a picture of a dataset.

    Raises:
        PictureUnreadable: it was refused.
    """
    if isinstance(answer, Refused):
        raise PictureUnreadable(answer.code, answer.reason)
    return answer


def opened(storage: Storage, digest: Digest, media_type: str, headers: Mapping[str, str]) -> FileAnswer:
    """A picture's original file, to be sent piece by piece.

    Raises:
        ImageFileMissing
    """
    try:
        file = storage.open_blob(digest)
    except FileNotFoundError:
        raise ImageFileMissing from None
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return FileAnswer(file, media_type, {**headers, "Content-Length": str(size)})


def copy_to_look_at(storage: Storage, decoders: DecodingPool, digest: Digest) -> bytes:
    """A copy as JPEG of a picture whose format browsers don't show; made once, then kept.

    Raises:
        ImageFileMissing, PictureUnreadable, DecodersBusy, DecodersDown
    """
    kept = storage.folder("thumbnails", digest[:2]) / thumbnail_name(digest, VIEW)
    try:
        return kept.read_bytes()
    except FileNotFoundError:
        made = or_raised(decoders.run(large_copy, content_of(storage, digest)))
        write_file(kept, made)
        return made


def thumbnail(storage: Storage, decoders: DecodingPool, digest: Digest, side: int) -> bytes:
    """A small copy. The larger one is made when it is first wanted, and either is where it got lost.

    Raises:
        ImageFileMissing, PictureUnreadable, DecodersBusy, DecodersDown
    """
    kept = storage.folder("thumbnails", digest[:2]) / thumbnail_name(digest, side)
    try:
        return kept.read_bytes()
    except FileNotFoundError:
        made = or_raised(decoders.run(small_copy, content_of(storage, digest), side))
        write_file(kept, made)
        return made
