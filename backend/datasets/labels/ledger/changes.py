"""Change labels of pictures and names of classes: each action is recorded, counts at once, and is undone as one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.corrections import RuleLabels, corrected, labels_by_rule, present_labels, rule_or_by_hand
from backend.datasets.labels.ledger.errors import ClassesUnknown, EmptyLabel, LabelChanged, PicturesUnknown
from backend.datasets.labels.repository import CLASS, IMAGE, Author, Change, LabelLedger
from backend.datasets.labels.selection import Selection, selected
from backend.datasets.repository import DatasetRepository, ImageNames
from backend.db.session import Database, WriteSession
from backend.domain.ids import Digest
from backend.domain.labels.overrides import Overrides, renamed
from backend.domain.labels.rules import RuleSpec, clean_label
from backend.domain.labels.warnings import pictures
from backend.domain.splitting import RandomSplit, SplitSpec
from backend.storage.base import Storage


@dataclass(frozen=True, slots=True)
class Wish:
    """A label for a picture.

    Attributes:
        label: None leaves the picture out.
        to_rule: the rule decides again, whatever ``label`` says.
        seen: the label that its author saw, in a tuple of one; None: whatever it was.
        is_confirmed: somebody has looked at the picture: it is recorded even if the label stays as it is.
    """

    image_id: str
    label: str | None
    to_rule: bool = False
    seen: tuple[str | None] | None = None
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """What an action did; ``batch_id`` is None where everything was as wished already."""

    batch_id: str | None
    words: str
    changed: int
    unchanged: int


def change_labels(
    database: Database, storage: Storage, dataset_id: str, wishes: Sequence[Wish], author: Author
) -> Done:
    """Give pictures labels, all or none of them.

    The rule is evaluated before the transaction that stores: a slow one must not keep others from writing.

    Raises:
        DatasetNotFound, PicturesUnknown
        EmptyLabel, LabelTooLong
        LabelChanged: a picture hasn't the label any more that the author saw.
    """
    cleaned = [replace(wish, label=clean(wish.label)) for wish in wishes]
    with database.read() as session:
        by_rule = rule_or_by_hand(DatasetContent.of(session, storage, dataset_id))
    if unknown := sorted({wish.image_id for wish in cleaned} - by_rule.image_of.keys()):
        raise PicturesUnknown(unknown)
    with database.write() as session:
        return _record(session, dataset_id, by_rule, cleaned, author)


def change_selected(
    database: Database, storage: Storage, dataset_id: str, chosen: Selection, wish: Wish, author: Author
) -> Done:
    """Give one label to every picture that a filter means; ``wish.image_id`` is not looked at.

    Raises:
        As ``change_labels``; InvalidInput: the present rule doesn't fit the dataset any more.
    """
    with database.read() as session:
        content = DatasetContent.of(session, storage, dataset_id)
        images = selected(content, present_labels(content), chosen)
    return change_labels(
        database, storage, dataset_id, [Wish(image.id, wish.label, wish.to_rule) for image in images], author
    )


def change_classes(
    database: Database, storage: Storage, dataset_id: str, names: Sequence[str], to: str | None, author: Author
) -> Done:
    """Rename a class, merge several into one, or leave them out (None), without touching files.

    Raises:
        DatasetNotFound
        ClassesUnknown: no picture is labelled so at present.
        EmptyLabel, LabelTooLong
    """
    target = clean(to)
    with database.read() as session:
        content = DatasetContent.of(session, storage, dataset_id)
        by_rule = labels_by_rule(content)
        counts = corrected(content, by_rule.labelled).counts
    if unknown := [name for name in names if name not in counts]:
        raise ClassesUnknown(unknown)
    with database.write() as session:
        DatasetRepository(session).lock(dataset_id)
        ledger = LabelLedger(session)
        wanted = sorted({*names} - {target})
        changes = [
            *_class_changes(ledger.overrides_of(dataset_id, ()), by_rule, wanted, target),
            *_changes_by_hand(ledger.labelled_by_hand(dataset_id, wanted), by_rule, target),
        ]
        if not changes:
            return Done(None, "Nothing to change.", 0, sum(counts[name] for name in names))
        words = _class_words(wanted, target, counts)
        batch = ledger.add(dataset_id, words, changes, author)
        return Done(batch.id, words, sum(counts[name] for name in wanted), 0)


def set_rule(database: Database, storage: Storage, dataset_id: str, rule: RuleSpec, split: SplitSpec | None) -> None:
    """Let the labels follow another rule from now on; what was changed by hand stays.

    Raises:
        DatasetNotFound, InvalidInput
    """
    with database.read() as session:
        labels_by_rule(DatasetContent.of(session, storage, dataset_id), rule)
    with database.write() as session:
        DatasetRepository(session).lock(dataset_id)
        used = split or RandomSplit()
        LabelLedger(session).set_rule(
            dataset_id, rule.model_dump(mode="json", exclude_none=True), used.model_dump(mode="json", exclude_none=True)
        )


def clean(label: str | None) -> str | None:
    """A label as it's kept. Raises EmptyLabel, LabelTooLong."""
    if label is None:
        return None
    if (cleaned := clean_label(label)) is None:
        raise EmptyLabel
    return cleaned


def _record(
    session: WriteSession, dataset_id: str, by_rule: RuleLabels, wishes: Sequence[Wish], author: Author
) -> Done:
    DatasetRepository(session).lock(dataset_id)
    ledger = LabelLedger(session)
    digests = list(dict.fromkeys(by_rule.image_of[wish.image_id].digest for wish in wishes))
    overrides = ledger.overrides_of(dataset_id, digests)
    changes: dict[str, Change] = {}
    confirmed = {by_rule.image_of[wish.image_id].digest for wish in wishes if wish.is_confirmed}
    for wish in wishes:
        image = by_rule.image_of[wish.image_id]
        change = _change(overrides, image, by_rule.label_of.get(image.id), wish)
        if wish.seen is not None and wish.seen[0] not in (change.before, wish.label):
            last = ledger.last_change(dataset_id, image.digest)
            raise LabelChanged(image.id, change.before, last.who if last else None, last.created_at if last else None)
        # The last of several wishes for one picture counts.
        changes[image.digest] = change
    real = [change for key, change in changes.items() if key in confirmed or _is_change(overrides, change)]
    if not real:
        return Done(None, "Nothing to change.", 0, len(changes))
    words = change_words(real)
    return Done(ledger.add(dataset_id, words, real, author).id, words, len(real), len(changes) - len(real))


def _change(overrides: Overrides, image: ImageNames, given: str | None, wish: Wish) -> Change:
    before = overrides.label(image.digest, given)
    after = Overrides({}, overrides.classes).label(image.digest, given) if wish.to_rule else wish.label
    label = None if wish.to_rule else wish.label
    return Change(IMAGE, image.digest, label, before, after, wish.to_rule, image.id, image.path)


def _is_change(overrides: Overrides, change: Change) -> bool:
    is_by_hand = Digest(change.key) in overrides.images
    if change.is_rule:
        return is_by_hand
    # Leaving out a picture that has no label is a change: it isn't asked about again.
    return change.before != change.after or (change.label is None and not is_by_hand)


def _class_changes(overrides: Overrides, by_rule: RuleLabels, names: Sequence[str], to: str | None) -> list[Change]:
    of_rule = by_rule.labelled.counts
    return [
        # A name that stands for itself again needs no mapping.
        Change(CLASS, name, None if name == to else new, overrides.classes.get(name, name), new, is_rule=name == to)
        for name, new in renamed(overrides.classes, names, to).items()
        if name in of_rule or name in overrides.classes
    ]


def _changes_by_hand(given: Mapping[str, str], by_rule: RuleLabels, to: str | None) -> list[Change]:
    """Pictures that got another name by hand; those that aren't in the dataset any more keep it."""
    images = [image for image in by_rule.image_of.values() if image.digest in given] if given else []
    return [Change(IMAGE, image.digest, to, given[image.digest], to, False, image.id, image.path) for image in images]


def change_words(changes: Sequence[Change]) -> str:
    """What an action on pictures did, in a sentence."""
    many = len(changes)
    who = f"“{changes[0].path.rpartition('/')[2]}”" if many == 1 else pictures(many)
    are = "is" if many == 1 else "are"
    labels = {(change.label, change.is_rule) for change in changes}
    if len(labels) > 1:
        return f"{many:,} labels changed."
    label, is_rule = labels.pop()
    if is_rule:
        return f"{who} {'follows' if many == 1 else 'follow'} the rule again."
    if label is None:
        return f"{who} {are} left out."
    is_confirmed = all(change.before == change.after for change in changes)
    return f"{who} {are} {'confirmed as' if is_confirmed else 'now'} “{label}”."


def _class_words(names: Sequence[str], to: str | None, counts: Counter[str]) -> str:
    called = ", ".join(f"“{name}”" for name in names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")
    are = "is" if len(names) == 1 else "are"
    images = pictures(sum(counts[name] for name in names))
    if to is None:
        return f"{called} {are} left out: {images}."
    if to in counts or len(names) > 1:
        return f"{called} {are} merged into “{to}”: {images}."
    return f"{called} is now called “{to}”: {images}."
