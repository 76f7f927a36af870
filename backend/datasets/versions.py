"""Freeze how labels are read, and look at what was frozen."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from backend.datasets.errors import OnlyOneClass, VersionNotFound
from backend.datasets.labels.preview import Labelled, label_dataset, split_dataset
from backend.datasets.repository import DatasetRepository, VersionRepository
from backend.db.session import WriteSession
from backend.domain.ids import Digest, VersionId, new_id
from backend.domain.json import Json
from backend.domain.labels.rules import RuleSpec
from backend.domain.manifest import Split
from backend.domain.splitting import RandomSplit, SplitSpec
from backend.storage.base import Storage
from backend.tables.datasets import VersionRow


def freeze(
    session: WriteSession, storage: Storage, dataset_id: str, rule: RuleSpec, split: SplitSpec | None = None
) -> VersionRow:
    """A new version of a dataset: every image that has a label and a side, for ever.

    Raises:
        DatasetNotFound, InvalidInput
        OnlyOneClass: there would be nothing to tell apart.
        NoValidationImages, NoTrainingImages
    """
    repository = DatasetRepository(session)
    # Nobody adds pictures or takes the next number meanwhile.
    repository.lock(dataset_id)
    chosen = split or RandomSplit()
    labelled = label_dataset(session, storage, dataset_id, rule)
    if len(labelled.counts) < 2:
        raise OnlyOneClass(len(labelled.counts))
    splits = split_dataset(session, storage, dataset_id, labelled, chosen)
    counts = _counts(labelled, splits)
    if len(counts) < 2:
        raise OnlyOneClass(len(counts))
    row = VersionRow(
        id=VersionId(new_id()),
        dataset_id=dataset_id,
        number=0,
        classes=sorted(counts),
        counts=counts,
        rule=rule.model_dump(exclude_none=True),
        split=chosen.model_dump(exclude_none=True),
        overrides=[],
    )
    images = [
        (found.image.id, found.label, splits[found.image.digest])
        for found in labelled.images
        if found.image.digest in splits
    ]
    VersionRepository(session).add(row, images)
    return row


def _counts(labelled: Labelled, splits: Mapping[Digest, Split]) -> dict[str, Json]:
    counts: dict[str, Any] = {}
    for found in labelled.images:
        if (side := splits.get(found.image.digest)) is not None:
            counts.setdefault(found.label, {"train": 0, "valid": 0, "test": 0})[side] += 1
    return counts


def find_version(session: Session, version_id: str) -> VersionRow:
    """Raises VersionNotFound."""
    if (row := VersionRepository(session).find(version_id)) is None:
        raise VersionNotFound
    return row


def latest_version(session: Session, dataset_id: str) -> VersionRow | None:
    """A dataset's newest version, or None."""
    return VersionRepository(session).latest(dataset_id)
