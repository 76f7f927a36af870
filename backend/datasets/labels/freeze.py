"""Freeze a version: every image that has a label and a side, for ever."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.exc import IntegrityError

from backend.datasets.errors import DatasetChanging
from backend.datasets.labels.apply import Labelled, label_images
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.corrections import Corrected, corrected
from backend.datasets.labels.repository import LabelLedger
from backend.datasets.labels.sides import split_labelled
from backend.datasets.repository import DatasetRepository
from backend.datasets.version_repository import VersionRepository
from backend.datasets.versions import latest_version
from backend.db.session import Database, WriteSession
from backend.domain.ids import VersionId, new_id
from backend.domain.json import Json
from backend.domain.labels.rules import RuleSpec
from backend.domain.manifest import Split
from backend.domain.splitting import RandomSplit, SplitSpec
from backend.domain.trainable import NoTrainingImages, NoValidationImages, OneClassOnly
from backend.storage.base import Storage
from backend.tables.datasets import VersionRow

_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class _Draft:
    """A version that isn't stored yet, and what it was made from."""

    row: VersionRow
    images: list[tuple[str, str, str]]
    """(image id, label, split) of each image, by id."""
    overrides: Sequence[tuple[str, str, str | None]]
    """(image id, path, label) of each picture that was changed by hand; None: left out."""
    newest: str | None
    """Id of the dataset's newest version when this was made: splits follow from it."""


def freeze(
    database: Database,
    storage: Storage,
    dataset_id: str,
    rule: RuleSpec,
    split: SplitSpec | None = None,
    *,
    moved: Mapping[str, Split] | None = None,
) -> VersionRow:
    """A new version of a dataset: every image that has a label and a side, for ever, with what was changed by hand.

    Rules are evaluated before the transaction that stores: a slow one must not keep others from writing.

    Args:
        moved: sides of images, by their ids, whatever the split says.

    Raises:
        DatasetNotFound, InvalidInput
        OneClassOnly: there would be nothing to tell apart.
        NoValidationImages, NoTrainingImages
        DatasetChanging: others freeze versions or delete images all the time.
    """
    for _ in range(_ATTEMPTS):
        with database.read() as session:
            content = DatasetContent.of(session, storage, dataset_id)
            draft = _draft(content, rule, split or RandomSplit(), moved or {})
        try:
            with database.write() as session:
                if _store(session, draft):
                    return draft.row
        except IntegrityError:
            continue  # an image was deleted meanwhile
    raise DatasetChanging


def _draft(content: DatasetContent, rule: RuleSpec, split: SplitSpec, moved: Mapping[str, Split]) -> _Draft:
    newest = latest_version(content.session, content.dataset_id)
    labelled = corrected(content, label_images(content, rule))
    if len(labelled.counts) < 2:
        raise OneClassOnly([*labelled.counts])
    splits = split_labelled(content, labelled, split)
    splits |= {image_id: side for image_id, side in moved.items() if image_id in labelled.label_of}
    if Split.VALID not in splits.values():
        raise NoValidationImages
    if Split.TRAIN not in splits.values():
        raise NoTrainingImages
    counts = _counts(labelled, splits)
    if len(counts) < 2:
        raise OneClassOnly([*counts])
    row = VersionRow(
        id=VersionId(new_id()),
        dataset_id=content.dataset_id,
        number=0,
        classes=sorted(counts),
        counts=counts,
        rule=rule.model_dump(mode="json", exclude_none=True),
        split=split.model_dump(mode="json", exclude_none=True),
        overrides=[{"class": name, "label": label} for name, label in sorted(labelled.overrides.classes.items())],
    )
    images = sorted(
        (found.image.id, found.label, splits[found.image.id]) for found in labelled.images if found.image.id in splits
    )
    return _Draft(
        row,
        [(image_id, label, side.value) for image_id, label, side in images],
        _overrides(content, labelled),
        newest.id if newest else None,
    )


def _overrides(content: DatasetContent, labelled: Corrected) -> list[tuple[str, str, str | None]]:
    """What was changed by hand of the pictures that are here: deleted ones have no part in a version."""
    given = labelled.overrides.images
    return [(image.id, image.path, given[image.digest]) for image in content.images if image.digest in given]


def _store(session: WriteSession, draft: _Draft) -> bool:
    """Store a draft, unless another version was frozen since it was made."""
    # Nobody takes the next number meanwhile.
    DatasetRepository(session).lock(draft.row.dataset_id)
    newest = latest_version(session, draft.row.dataset_id)
    if (newest.id if newest else None) != draft.newest:
        return False
    VersionRepository(session).add(draft.row, draft.images)
    ledger = LabelLedger(session)
    ledger.freeze(draft.row.id, draft.overrides)
    ledger.set_rule(draft.row.dataset_id, draft.row.rule, draft.row.split)
    return True


def _counts(labelled: Labelled, splits: Mapping[str, Split]) -> dict[str, Json]:
    counts: dict[str, Any] = {}  # Any: JSON that grows
    for found in labelled.images:
        if (side := splits.get(found.image.id)) is not None:
            counts.setdefault(found.label, {"train": 0, "valid": 0, "test": 0})[side.value] += 1
    return counts
