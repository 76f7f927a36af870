"""A frozen version as the engine takes it."""

from sqlalchemy.orm import Session

from backend.datasets.version_repository import VersionRepository
from backend.datasets.versions import find_version
from backend.domain.ids import ImageId
from backend.domain.manifest import Manifest, ManifestImage, Split


def manifest(session: Session, version_id: str) -> Manifest:
    """Every image of a version, ordered by digest.

    Raises:
        VersionNotFound: no such version.
    """
    version = find_version(session, version_id)
    images = VersionRepository(session).images(version_id)
    return Manifest(
        tuple(version.classes),
        tuple(
            ManifestImage(ImageId(id), digest, path, label, Split(split)) for id, digest, path, label, split in images
        ),
    )
