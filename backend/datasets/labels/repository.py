"""All SQL over the ledger of labels.

What counts (``label_overrides``) is always the last change of each key that isn't undone, whatever the order in which
actions were undone and brought back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, exists, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session, aliased

from backend.db.base import utc_now
from backend.db.session import Database
from backend.domain.ids import Digest, new_id
from backend.domain.json import Json
from backend.domain.labels.overrides import Overrides
from backend.tables.accounts import TokenRow
from backend.tables.labels import (
    LabelBatchRow,
    LabelChangeRow,
    LabelOverrideRow,
    LabelRuleRow,
    VersionOverrideRow,
)

IMAGE: Final = "image"
CLASS: Final = "class"
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one picture or class; ``key`` is its digest or its name by the rule.

    Attributes:
        label: what counts from now on; None leaves it out.
        is_rule: the rule decides again.
        before, after: the labels as people see them; None for none.
    """

    kind: str
    key: str
    label: str | None
    before: str | None
    after: str | None
    is_rule: bool = False
    image_id: str | None = None
    path: str = ""


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes labels, and why; ``run_id`` is the training whose mistakes led to it."""

    who: str
    reason: str = ""
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeFilter:
    """Which changes are listed; None means no filter. ``digest`` is of a picture's bytes."""

    digest: str | None = None
    batch_id: str | None = None
    run_id: str | None = None


class LabelLedger:
    """Changes of labels, in the caller's transaction. The dataset must be locked by whoever changes something."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # The present rule

    def rule(self, dataset_id: str) -> LabelRuleRow | None:
        """The rule that was chosen last, or None."""
        return self._session.get(LabelRuleRow, dataset_id)

    def set_rule(self, dataset_id: str, rule: Mapping[str, Json], split: Mapping[str, Json]) -> None:
        """Keep the rule that the labels follow from now on."""
        row = self._session.get(LabelRuleRow, dataset_id)
        if row is None:
            self._session.add(LabelRuleRow(dataset_id=dataset_id, rule=dict(rule), split=dict(split)))
        else:
            row.rule, row.split, row.changed_at = dict(rule), dict(split), utc_now()
        self._session.flush()

    # What counts

    def overrides(self, dataset_id: str) -> Overrides:
        """All that counts instead of the rule."""
        query = select(LabelOverrideRow.kind, LabelOverrideRow.key, LabelOverrideRow.label)
        images: dict[Digest, str | None] = {}
        classes: dict[str, str | None] = {}
        for kind, key, label in self._session.execute(query.where(LabelOverrideRow.dataset_id == dataset_id)):
            if kind == IMAGE:
                images[Digest(key)] = label
            else:
                classes[key] = label
        return Overrides(images, classes)

    def overrides_of(self, dataset_id: str, digests: Sequence[str]) -> Overrides:
        """What counts for some pictures, and for all classes."""
        mine = LabelOverrideRow.dataset_id == dataset_id
        query = select(LabelOverrideRow.key, LabelOverrideRow.label).where(mine)
        classes = {key: label for key, label in self._session.execute(query.where(LabelOverrideRow.kind == CLASS))}
        images: dict[Digest, str | None] = {}
        for at in range(0, len(digests), _AT_ONCE):
            chosen = query.where(LabelOverrideRow.kind == IMAGE, LabelOverrideRow.key.in_(digests[at : at + _AT_ONCE]))
            images |= {Digest(key): label for key, label in self._session.execute(chosen)}
        return Overrides(images, classes)

    def labelled_by_hand(self, dataset_id: str, labels: Sequence[str]) -> dict[str, str]:
        """The label of each picture that somebody gave one of these, by its digest."""
        query = select(LabelOverrideRow.key, LabelOverrideRow.label).where(
            LabelOverrideRow.dataset_id == dataset_id,
            LabelOverrideRow.kind == IMAGE,
            LabelOverrideRow.label.in_(labels),
        )
        return {digest: label for digest, label in self._session.execute(query) if label is not None}

    def decided(self, dataset_id: str) -> dict[Digest, str]:
        """The label of each picture for which it was chosen or confirmed while looking at a training's mistakes."""
        query = (
            select(LabelChangeRow.key, LabelChangeRow.label)
            .join(LabelBatchRow, LabelBatchRow.id == LabelChangeRow.batch_id)
            .join(
                LabelOverrideRow,
                (LabelOverrideRow.dataset_id == LabelChangeRow.dataset_id)
                & (LabelOverrideRow.kind == LabelChangeRow.kind)
                & (LabelOverrideRow.key == LabelChangeRow.key)
                & (LabelOverrideRow.label == LabelChangeRow.label),
            )
            .where(LabelChangeRow.dataset_id == dataset_id, LabelChangeRow.kind == IMAGE)
            .where(~LabelChangeRow.is_undone, LabelBatchRow.run_id.is_not(None))
        )
        return {Digest(key): label for key, label in self._session.execute(query) if label is not None}

    def has_changed_since(self, dataset_id: str, moment: datetime) -> bool:
        """Whether anything was changed or undone since; what is brought back counts as when it was made."""
        query = select(LabelBatchRow.id).where(
            LabelBatchRow.dataset_id == dataset_id,
            or_(LabelBatchRow.created_at >= moment, LabelBatchRow.undone_at >= moment),
        )
        return self._session.scalar(query.limit(1)) is not None

    def reviews(self, dataset_id: str, run_id: str, reason: str) -> list[bool]:
        """Of each picture that was looked at for this reason, whether its label was changed; the last one last."""
        query = (
            select(LabelChangeRow.key, LabelChangeRow.before, LabelChangeRow.after)
            .join(LabelBatchRow, LabelBatchRow.id == LabelChangeRow.batch_id)
            .where(LabelChangeRow.dataset_id == dataset_id, LabelChangeRow.kind == IMAGE, ~LabelChangeRow.is_undone)
            .where(LabelBatchRow.run_id == run_id, LabelBatchRow.reason == reason)
            .order_by(LabelChangeRow.number, LabelChangeRow.id)
        )
        found: dict[str, bool] = {}
        for key, before, after in self._session.execute(query):
            found[key] = found.pop(key, False) or before != after
        return [*found.values()]

    # Actions

    def add(self, dataset_id: str, words: str, changes: Sequence[Change], author: Author) -> LabelBatchRow:
        """Record an action and make it count; redoing what was undone before is over."""
        number = 1 + (self._session.scalar(self._numbers(dataset_id)) or 0)
        batch = LabelBatchRow(
            id=new_id(),
            dataset_id=dataset_id,
            number=number,
            words=words,
            reason=author.reason,
            run_id=author.run_id,
            who=author.who,
            images=sum(change.kind == IMAGE for change in changes),
        )
        self._session.add(batch)
        self._session.flush()
        self._session.execute(insert(LabelChangeRow), [_values(batch, change) for change in changes])
        self._apply(batch)
        return batch

    def undo(self, batch: LabelBatchRow, who: str) -> None:
        """Make an action count no more."""
        last = select(func.max(LabelBatchRow.undone_order)).where(LabelBatchRow.dataset_id == batch.dataset_id)
        batch.undone_order = 1 + (self._session.scalar(last) or 0)
        batch.undone_at, batch.undone_by = utc_now(), who
        self._set_undone(batch, is_undone=True)

    def redo(self, batch: LabelBatchRow) -> None:
        """Make an action count again."""
        batch.undone_order = batch.undone_at = batch.undone_by = None
        self._set_undone(batch, is_undone=False)

    def batch(self, dataset_id: str, batch_id: str) -> LabelBatchRow | None:
        """An action, or None."""
        row = self._session.get(LabelBatchRow, batch_id, populate_existing=True)
        return row if row is not None and row.dataset_id == dataset_id else None

    def to_undo(self, dataset_id: str) -> LabelBatchRow | None:
        """The newest action that counts."""
        query = select(LabelBatchRow).where(
            LabelBatchRow.dataset_id == dataset_id, LabelBatchRow.undone_order.is_(None)
        )
        return self._session.scalar(query.order_by(LabelBatchRow.number.desc()).limit(1))

    def to_redo(self, dataset_id: str) -> LabelBatchRow | None:
        """The action that was undone last, unless a newer one counts."""
        newest = self.to_undo(dataset_id)
        query = select(LabelBatchRow).where(
            LabelBatchRow.dataset_id == dataset_id,
            LabelBatchRow.undone_order.is_not(None),
            LabelBatchRow.number > (newest.number if newest else 0),
        )
        return self._session.scalar(query.order_by(LabelBatchRow.undone_order.desc()).limit(1))

    def batches(self, dataset_id: str, *, limit: int, before: int | None = None) -> list[LabelBatchRow]:
        """Actions, the newest first; ``before`` is the number of the one to go on from."""
        query = select(LabelBatchRow).where(LabelBatchRow.dataset_id == dataset_id)
        if before is not None:
            query = query.where(LabelBatchRow.number < before)
        return list(self._session.scalars(query.order_by(LabelBatchRow.number.desc()).limit(limit)))

    def changes(
        self, dataset_id: str, chosen: ChangeFilter, *, limit: int, after: str | None = None
    ) -> list[tuple[LabelChangeRow, LabelBatchRow]]:
        """Changes with their actions, the newest first."""
        query = (
            select(LabelChangeRow, LabelBatchRow)
            .join(LabelBatchRow, LabelBatchRow.id == LabelChangeRow.batch_id)
            .where(LabelChangeRow.dataset_id == dataset_id)
            .order_by(LabelChangeRow.id.desc())
            .limit(limit)
        )
        if chosen.digest:
            query = query.where(LabelChangeRow.kind == IMAGE, LabelChangeRow.key == chosen.digest)
        if chosen.batch_id:
            query = query.where(LabelChangeRow.batch_id == chosen.batch_id)
        if chosen.run_id:
            query = query.where(LabelBatchRow.run_id == chosen.run_id)
        if after:
            query = query.where(LabelChangeRow.id < after)
        return [(change, batch) for change, batch in self._session.execute(query)]

    def first_changes(self, batch_ids: Sequence[str], each: int) -> dict[str, list[LabelChangeRow]]:
        """The first few changes of each of some actions, by the action's id."""
        place = func.row_number().over(partition_by=LabelChangeRow.batch_id, order_by=LabelChangeRow.id)
        numbered = select(LabelChangeRow.id, place.label("place")).where(LabelChangeRow.batch_id.in_(batch_ids))
        chosen = numbered.subquery()
        query = select(LabelChangeRow).join(chosen, chosen.c.id == LabelChangeRow.id).where(chosen.c.place <= each)
        found: dict[str, list[LabelChangeRow]] = {}
        for row in self._session.scalars(query.order_by(LabelChangeRow.id)):
            found.setdefault(row.batch_id, []).append(row)
        return found

    def last_change(self, dataset_id: str, digest: str) -> LabelBatchRow | None:
        """The action that gave a picture what counts now, or None."""
        query = (
            select(LabelBatchRow)
            .join(LabelChangeRow, LabelChangeRow.batch_id == LabelBatchRow.id)
            .where(
                LabelChangeRow.dataset_id == dataset_id,
                LabelChangeRow.kind == IMAGE,
                LabelChangeRow.key == digest,
                ~LabelChangeRow.is_undone,
            )
            .order_by(LabelChangeRow.number.desc())
            .limit(1)
        )
        return self._session.scalar(query)

    def name_of(self, token_id: str) -> str:
        """What a token is called; people see it as the author."""
        return self._session.scalar(select(TokenRow.name).where(TokenRow.id == token_id)) or "unknown"

    # Versions

    def freeze(self, version_id: str, images: Sequence[tuple[str, str, str | None]]) -> None:
        """Keep what was changed by hand in a version: (image id, path, label) of each picture."""
        if images:
            self._session.execute(
                insert(VersionOverrideRow),
                [
                    {"version_id": version_id, "image_id": image_id, "path": path, "label": label}
                    for image_id, path, label in images
                ],
            )

    def frozen(self, version_id: str) -> Iterator[tuple[str, str, str | None]]:
        """(image id, path, label) of each picture that a version has a change of, by path."""
        query = select(VersionOverrideRow.image_id, VersionOverrideRow.path, VersionOverrideRow.label).where(
            VersionOverrideRow.version_id == version_id
        )
        found = self._session.execute(query.order_by(VersionOverrideRow.path))
        return ((image_id, path, label) for image_id, path, label in found)

    def count_frozen(self, version_ids: Sequence[str]) -> dict[str, int]:
        """Pictures that each version has a change of; versions without one are left out."""
        query = (
            select(VersionOverrideRow.version_id, func.count())
            .where(VersionOverrideRow.version_id.in_(version_ids))
            .group_by(VersionOverrideRow.version_id)
        )
        return {version_id: count for version_id, count in self._session.execute(query)}

    @staticmethod
    def _numbers(dataset_id: str) -> Any:  # Any: a statement
        return select(func.max(LabelBatchRow.number)).where(LabelBatchRow.dataset_id == dataset_id)

    def _set_undone(self, batch: LabelBatchRow, *, is_undone: bool) -> None:
        self._session.flush()
        mine = LabelChangeRow.batch_id == batch.id
        self._session.execute(update(LabelChangeRow).where(mine).values(is_undone=is_undone))
        self._apply(batch)

    def _apply(self, batch: LabelBatchRow) -> None:
        """Bring what counts up to date for the keys of one action: two statements, however many there are."""
        touched, later = aliased(LabelChangeRow), aliased(LabelChangeRow)
        is_touched = exists(
            select(literal(1)).where(
                touched.batch_id == batch.id,
                touched.kind == LabelOverrideRow.kind,
                touched.key == LabelOverrideRow.key,
            )
        )
        self._session.execute(
            delete(LabelOverrideRow)
            .where(LabelOverrideRow.dataset_id == batch.dataset_id, is_touched)
            .execution_options(synchronize_session=False)
        )
        is_last = ~exists(
            select(literal(1)).where(
                later.dataset_id == LabelChangeRow.dataset_id,
                later.kind == LabelChangeRow.kind,
                later.key == LabelChangeRow.key,
                ~later.is_undone,
                later.number > LabelChangeRow.number,
            )
        )
        counting = (
            select(LabelChangeRow.dataset_id, LabelChangeRow.kind, LabelChangeRow.key, LabelChangeRow.label)
            .join(
                touched,
                (touched.dataset_id == LabelChangeRow.dataset_id)
                & (touched.kind == LabelChangeRow.kind)
                & (touched.key == LabelChangeRow.key),
            )
            .where(touched.batch_id == batch.id, ~LabelChangeRow.is_undone, ~LabelChangeRow.is_rule, is_last)
        )
        self._session.execute(insert(LabelOverrideRow).from_select(["dataset_id", "kind", "key", "label"], counting))


def _values(batch: LabelBatchRow, change: Change) -> dict[str, Any]:  # Any: column values
    return {
        "id": new_id(),
        "batch_id": batch.id,
        "dataset_id": batch.dataset_id,
        "number": batch.number,
        "kind": change.kind,
        "key": change.key,
        "label": change.label,
        "is_rule": change.is_rule,
        "image_id": change.image_id,
        "path": change.path,
        "before": change.before,
        "after": change.after,
    }


def author_name(database: Database, token_id: str) -> str:
    """What whoever has this key is called in the ledger."""
    with database.read() as session:
        return LabelLedger(session).name_of(token_id)
