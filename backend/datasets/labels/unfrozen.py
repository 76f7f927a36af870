"""What has changed in a dataset's labels since a version froze them, and the version that has these changes."""

from sqlalchemy.orm import Session

from backend.datasets.errors import NoVersionYet
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.corrections import Corrected, present_labels, present_rule
from backend.datasets.labels.freeze import freeze
from backend.datasets.labels.repository import LabelLedger
from backend.datasets.version_repository import VersionRepository
from backend.datasets.versions import find_version
from backend.db.session import Database
from backend.domain.errors import Conflict, InvalidInput
from backend.domain.manifest import Split
from backend.storage.base import Storage
from backend.tables.datasets import VersionRow


class LabelsUnchanged(Conflict):
    """There is nothing that a new version would have."""

    code = "labels-unchanged"

    def __init__(self) -> None:
        super().__init__(
            "No label has changed since this training.", advice="Correct labels first, for example in a fix sprint."
        )


def changed_since(content: DatasetContent, labels: Corrected, version_id: str) -> list[str]:
    """Ids of pictures whose label differs from the one that a version froze, and of those labelled by hand since."""
    frozen = dict(VersionRepository(content.session).labels_of(version_id))
    here = {image.id for image in content.images}
    present = labels.label_of
    differing = [image_id for image_id, label in frozen.items() if image_id in here and present.get(image_id) != label]
    # Of pictures that were not in the version, only those count that somebody labelled by hand.
    return [*differing, *(found.image.id for found in labels.by_hand if found.image.id not in frozen)]


def count_changes(session: Session, storage: Storage, version_id: str) -> int:
    """How many labels were changed since a version was frozen; 0 where the present rule doesn't fit any more.

    Raises:
        VersionNotFound
    """
    version = find_version(session, version_id)
    # Most pages are looked at without anything having changed: then no picture is read.
    if not LabelLedger(session).has_changed_since(version.dataset_id, version.created_at):
        return 0
    content = DatasetContent.of(session, storage, version.dataset_id)
    try:
        return len(changed_since(content, present_labels(content), version_id))
    except InvalidInput:
        return 0


def freeze_changes(database: Database, storage: Storage, version_id: str) -> VersionRow:
    """A new version with the labels as they stand, in which each picture of an earlier one stays on its side.

    Pictures that came since follow the present split.

    Raises:
        VersionNotFound
        LabelsUnchanged
        As ``freeze`` does.
    """
    with database.read() as session:
        version = find_version(session, version_id)
        if not count_changes(session, storage, version_id):
            raise LabelsUnchanged
        present = present_rule(session, version.dataset_id)
        sides = {image_id: Split(side) for image_id, side in VersionRepository(session).splits_of(version_id).items()}
    if present is None:
        raise NoVersionYet
    return freeze(database, storage, version.dataset_id, present.rule, present.split, moved=sides)
