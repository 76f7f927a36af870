"""A version of a dataset as one ZIP: original files in folders of split and class, and what is known of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy.orm import Session
from zipstream import ZIP_STORED, ZipStream

from backend.datasets.export.facts import NAME, facts, lines
from backend.datasets.export.layout import class_folders, placed
from backend.datasets.labels.repository import LabelLedger
from backend.datasets.repository import DatasetRepository
from backend.datasets.samples import SAMPLES, Sample
from backend.datasets.version_repository import VersionRepository
from backend.datasets.versions import find_version
from backend.domain.errors import Unavailable
from backend.domain.ids import Digest
from backend.domain.safe_names import SafeNames
from backend.storage.base import Storage


class PicturesMissing(Unavailable):
    """Files of a version's pictures aren't where they were kept."""

    code = "pictures-missing"

    def __init__(self, missing: int, of: int) -> None:
        super().__init__(
            f"Of {of:,} pictures of this version, the files of {missing:,} are missing from the storage.",
            advice="Bring back the data folder from a backup, or upload the pictures again and freeze a new version.",
            details={"missing": missing, "images": of},
        )


@dataclass(frozen=True, slots=True)
class Archive:
    """A ZIP that is made while it is sent; ``size`` is in bytes, and known before."""

    name: str
    size: int
    pieces: Iterator[bytes]


def export_version(session: Session, storage: Storage, version_id: str) -> Archive:
    """The version's pictures, byte for byte as they came; nothing is decoded, and nothing is held in memory but names.

    Raises:
        VersionNotFound
        PicturesMissing: some files are gone.
    """
    version = find_version(session, version_id)
    dataset = DatasetRepository(session).get(version.dataset_id)
    folders = class_folders([str(name) for name in version.classes])
    pictures = placed(VersionRepository(session).files(version_id), folders)
    if missing := sum(not storage.has_blob(one.picture.digest) for one in pictures):
        raise PicturesMissing(missing, len(pictures))
    changed = ((path, label) for _, path, label in LabelLedger(session).frozen(version_id))
    known = facts(dataset, version, folders, changed, sample_of(session, dataset.id))
    # Pictures are compressed already: storing them costs no time, and makes the size known.
    archive = ZipStream(compress_type=ZIP_STORED, sized=True)
    archive.add(lines(known, pictures), NAME, size=sum(map(len, lines(known, pictures))))
    for one in pictures:
        archive.add(_content(storage, one.picture.digest), one.file, size=one.picture.bytes)
    return Archive(archive_name(dataset.name, version.number), len(archive), iter(archive))


def archive_name(dataset: str, number: int) -> str:
    """What the ZIP of a dataset's version is called."""
    return SafeNames().safe(f"{dataset}-version-{number}", ".zip")


def sample_of(session: Session, dataset_id: str) -> Sample | None:
    """The well-known sample that a dataset's pictures are; None where they are others, or of several samples."""
    names = set(DatasetRepository(session).samples(dataset_id))
    return SAMPLES.get(names.pop()) if len(names) == 1 else None


def _content(storage: Storage, digest: Digest) -> Iterator[bytes]:
    # Opened only when its turn comes: a version may have more pictures than a process may have open files.
    with storage.open_blob(digest) as file:
        while piece := file.read(1 << 16):
            yield piece
