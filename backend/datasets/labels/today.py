"""Labels as they are today: results of earlier versions are scored on them anew."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from sqlalchemy.orm import Session

from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.corrections import corrected, labels_by_rule
from backend.datasets.version_repository import VersionRepository
from backend.domain.errors import InvalidInput
from backend.domain.labels.rules import parse_spec
from backend.storage.base import Storage
from backend.tables.datasets import VersionRow

_NEARLY_ALL: Final = 0.75
"""Of the pictures of a class: so many have its new name, where some were corrected by hand besides."""


def labels_today(session: Session, storage: Storage, version: VersionRow) -> Mapping[str, str | None]:
    """Labels by a version's rule with what people have changed until today, by image id; None: left out.

    Pictures that were deleted since aren't among them. Where the rule fits the dataset no more, they are the labels
    that the version froze.
    """
    content = DatasetContent.of(session, storage, version.dataset_id)
    try:
        label_of = corrected(content, labels_by_rule(content, parse_spec(version.rule)).labelled).label_of
    except InvalidInput:
        return dict(VersionRepository(session).labels_of(version.id))
    return {image.id: label_of.get(image.id) for image in content.images}


def names_today(session: Session, version: VersionRow, today: Mapping[str, str | None]) -> dict[str, str]:
    """What classes of a version are called by now, where they were renamed or merged: none of their pictures has kept
    the name, and nearly all have the same new one. A model's answers in the old name mean the new one."""
    found: dict[str, Counter[str]] = {}
    for image_id, label in VersionRepository(session).labels_of(version.id):
        if (now := today.get(image_id)) is not None:
            found.setdefault(label, Counter())[now] += 1
    return {
        label: name
        for label, names in found.items()
        for name, count in names.most_common(1)
        if label not in names and count >= _NEARLY_ALL * names.total()
    }
