"""Find frozen versions of a dataset."""

from sqlalchemy.orm import Session

from backend.datasets.errors import VersionNotFound
from backend.datasets.repository import VersionRepository
from backend.tables.datasets import VersionRow


def find_version(session: Session, version_id: str) -> VersionRow:
    """Raises VersionNotFound."""
    if (row := VersionRepository(session).find(version_id)) is None:
        raise VersionNotFound
    return row


def latest_version(session: Session, dataset_id: str) -> VersionRow | None:
    """A dataset's newest version, or None."""
    return VersionRepository(session).latest(dataset_id)
