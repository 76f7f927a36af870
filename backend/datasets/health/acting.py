"""Act on a finding with one click: through the ledger of labels, or by a new version; both leave what was there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backend.datasets.errors import NoVersionYet
from backend.datasets.health.errors import ActionImpossible
from backend.datasets.health.finding import Action, Finding
from backend.datasets.health.picture import Picture
from backend.datasets.health.service import health
from backend.datasets.health.words import pictures
from backend.datasets.labels.corrections import PresentRule, present_rule
from backend.datasets.labels.freeze import freeze
from backend.datasets.labels.ledger.changes import Wish, change_labels
from backend.datasets.labels.repository import Author
from backend.db.session import Database
from backend.domain.manifest import Split
from backend.domain.splitting import RandomSplit
from backend.storage.base import Storage
from backend.tables.datasets import VersionRow

_ASKED: Final = frozenset({Action.LEAVE_OUT, Action.RELABEL})
"""Actions that may be restricted to some of the pictures."""


@dataclass(frozen=True, slots=True)
class Acted:
    """What an action did.

    Attributes:
        message: a sentence.
        batch_id: the entry of the ledger, by which it is undone; None where a version was made or nothing changed.
        version_id: the new version, where one was made.
    """

    message: str
    batch_id: str | None = None
    version_id: str | None = None


def act(
    database: Database,
    storage: Storage,
    dataset_id: str,
    name: str,
    action: Action,
    who: str,
    *,
    image_ids: Sequence[str] = (),
    label: str | None = None,
) -> Acted:
    """Do what a finding offers.

    Args:
        name: the finding's.
        image_ids: only these of its pictures, where the action is about single ones; empty for all.
        label: for ``Action.RELABEL``.

    Raises:
        DatasetNotFound, FindingGone
        ActionImpossible: the finding doesn't offer it, or it needs a label.
        NoVersionYet, NoValidationImages, NoTrainingImages, DatasetChanging
    """
    with database.read() as session:
        checked = health(session, storage, dataset_id)
    found, by_id = checked.finding(name), checked.material.by_id
    possible = [offered.value for offered in found.actions if offered is not Action.SEE]
    if action.value not in possible or (action is Action.RELABEL and not label):
        raise ActionImpossible(action.value, possible)
    only = set(image_ids)
    asked = [image_id for image_id in found.image_ids if not only or image_id in only]
    author = Author(who, f"health: {found.kind}")
    match action:
        case Action.KEEP_ONE:
            groups = [[by_id[image_id] for image_id in group if image_id in by_id] for group in found.groups]
            asked = [picture.id for group in groups for picture in _all_but_the_best(group)]
            return _labelled(database, storage, dataset_id, asked, None, author)
        case Action.MOVE_TO_TRAINING:
            return _moved(database, storage, dataset_id, found.targets)
        case Action.KEEP_TOGETHER:
            return _kept_together(database, storage, dataset_id, found)
        case _:
            assert action in _ASKED
            return _labelled(database, storage, dataset_id, asked, label if action is Action.RELABEL else None, author)


def freeze_again(database: Database, storage: Storage, dataset_id: str) -> VersionRow:
    """A new version with the labels as they stand, by the present rule and split.

    Raises:
        DatasetNotFound, NoVersionYet
        As ``freeze`` does.
    """
    present = _present(database, dataset_id)
    return freeze(database, storage, dataset_id, present.rule, present.split)


def _present(database: Database, dataset_id: str) -> PresentRule:
    with database.read() as session:
        present = present_rule(session, dataset_id)
    if present is None:
        raise NoVersionYet
    return present


def _all_but_the_best(group: Sequence[Picture]) -> list[Picture]:
    """Of copies, those that may go: the one with the most pixels and bytes stays, of equals the one that came first."""
    if not group:
        return []
    best = max(group, key=lambda picture: (picture.width * picture.height, picture.bytes, -group.index(picture)))
    return [picture for picture in group if picture.id != best.id]


def _labelled(
    database: Database, storage: Storage, dataset_id: str, image_ids: Sequence[str], label: str | None, author: Author
) -> Acted:
    if not image_ids:
        return Acted("Nothing to change.")
    done = change_labels(database, storage, dataset_id, [Wish(image_id, label) for image_id in image_ids], author)
    return Acted(done.words, batch_id=done.batch_id)


def _moved(database: Database, storage: Storage, dataset_id: str, image_ids: Sequence[str]) -> Acted:
    present = _present(database, dataset_id)
    moved = dict.fromkeys(image_ids, Split.TRAIN)
    version = freeze(database, storage, dataset_id, present.rule, present.split, moved=moved)
    words = f"{pictures(len(moved))} moved to training in version {version.number}. Earlier versions stay as they were."
    return Acted(words, version_id=version.id)


def _kept_together(database: Database, storage: Storage, dataset_id: str, found: Finding) -> Acted:
    present = _present(database, dataset_id)
    split = present.split if isinstance(present.split, RandomSplit) else RandomSplit()
    version = freeze(database, storage, dataset_id, present.rule, split.model_copy(update={"group": found.about}))
    words = f"Version {version.number} keeps each group on one side. Earlier versions stay as they were."
    return Acted(words, version_id=version.id)
