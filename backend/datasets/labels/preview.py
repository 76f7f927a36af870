"""Try a rule and a split on a dataset without storing anything, and look at what they give."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from backend.datasets.labels.apply import Labelled, label_images
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.corrections import Corrected, corrected
from backend.datasets.labels.sides import DatasetSplit, split_labelled
from backend.datasets.labels.tables import ReadTable
from backend.datasets.repository import ImageNames
from backend.domain.labels.rules import ByTable, LabelRule, RuleSpec
from backend.domain.labels.warnings import LabelWarning, pictures, pictures_have, warnings_about
from backend.domain.manifest import Split
from backend.domain.splitting import RandomSplit, SplitSpec
from backend.domain.trainable import NoTrainingImages, NoValidationImages

EXAMPLES: Final = 4
EXAMPLES_IN_ALL: Final = 40
"""Of many classes, each shows fewer; one at least."""


@dataclass(frozen=True, slots=True)
class ClassPreview:
    """What one class would be."""

    name: str
    images: int
    splits: Mapping[Split, int]
    examples: Sequence[ImageNames]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule and a split would give; nothing of it is stored.

    Attributes:
        groups: images of each group that the split's pattern found; empty where there is none.
        by_hand, dropped: images that somebody gave a label, and that somebody left out.
        renamed: what classes are called, by the rule's name for them; None where they are left out.
    """

    classes: Sequence[ClassPreview]
    labelled: int
    unlabelled: Sequence[ImageNames]
    warnings: Sequence[LabelWarning]
    table: ReadTable | None
    rule: LabelRule
    groups: Mapping[str, int]
    by_hand: int = 0
    dropped: int = 0
    renamed: Mapping[str, str | None] = field(default_factory=dict)


def preview(content: DatasetContent, rule: RuleSpec, split: SplitSpec | None = None) -> Preview:
    """What ``rule`` and ``split`` would give. Raises InvalidInput."""
    return preview_of(content, label_images(content, rule), split)


def preview_of(content: DatasetContent, labelled: Labelled, split: SplitSpec | None = None) -> Preview:
    """What ``split`` would give for a rule's labels, with what was changed by hand. Raises InvalidInput."""
    labelled = corrected(content, labelled)
    warnings = [
        *warnings_about(labelled.counts),
        *_left_out(labelled),
        *_dropped(labelled),
        *_table_warnings(labelled),
        *_conflicts(labelled),
    ]
    found = DatasetSplit({}, {}, ())
    if labelled.images:
        try:
            found = split_labelled(content, labelled, split or RandomSplit())
        except (NoValidationImages, NoTrainingImages) as error:
            warnings.append(LabelWarning(error.code, error.message))
        else:
            warnings += found.warnings
    return Preview(
        _class_previews(labelled, found.splits),
        len(labelled.images),
        labelled.unlabelled,
        warnings,
        labelled.table,
        labelled.rule,
        found.groups,
        len(labelled.by_hand),
        len(labelled.dropped),
        labelled.overrides.classes,
    )


def _class_previews(labelled: Labelled, splits: Mapping[str, Split]) -> list[ClassPreview]:
    members: dict[str, list[ImageNames]] = defaultdict(list)
    for found in labelled.images:
        members[found.label].append(found.image)
    shown = max(1, min(EXAMPLES, EXAMPLES_IN_ALL // max(1, len(members))))
    return [
        ClassPreview(
            name,
            len(members[name]),
            Counter(splits[image.id] for image in members[name] if image.id in splits),
            # By digest, so that the examples are mixed and don't change with every upload.
            heapq.nsmallest(shown, members[name], key=lambda image: image.digest),
        )
        for name in sorted(members)
    ]


def _left_out(labelled: Labelled) -> list[LabelWarning]:
    if not labelled.left_out:
        return []
    message = f"{pictures_have(len(labelled.left_out))} a label that you leave out."
    return [LabelWarning("left-out", message)]


def _dropped(labelled: Corrected) -> list[LabelWarning]:
    many = len(labelled.dropped)
    return [LabelWarning("left-out-by-hand", f"{pictures(many)} {'is' if many == 1 else 'are'} left out by hand.")] * (
        many > 0
    )


def _table_warnings(labelled: Labelled) -> list[LabelWarning]:
    rule = labelled.rule
    if not isinstance(rule, ByTable):
        return []
    match = rule.lookup.match
    found = []
    if match.unmatched:
        shown = ", ".join(match.unmatched[:3])
        more = " …" if len(match.unmatched) > 3 else ""
        found.append(LabelWarning("rows-without-image", f"{_rows_without(len(match.unmatched))} here: {shown}{more}"))
    if labelled.unlabelled:
        found.append(
            LabelWarning("images-without-row", f"{pictures_have(len(labelled.unlabelled))} no row in the table.")
        )
    if match.ambiguous:
        first = match.ambiguous[0]
        message = (
            f"{_names(len(match.ambiguous))} several pictures, such as “{first.name}”: {' and '.join(first.paths)}. "
            "They get no label."
        )
        found.append(LabelWarning("table-names-ambiguous", message))
    if rule.lookup.conflicts:
        shown = ", ".join(rule.lookup.conflicts[:3])
        message = f"The table names some pictures twice with different labels: {shown}. They get no label."
        found.append(LabelWarning("table-contradicts-itself", message))
    return [*found, *_several_labels(rule)]


def _several_labels(rule: ByTable) -> list[LabelWarning]:
    if rule.several is not None:
        message = f"Some rows have more than one label, such as the row of “{rule.several}”. Their pictures get none."
        return [LabelWarning("several-labels", message)]
    if rule.joined is not None:
        message = (
            f"A cell seems to hold several labels, such as “{rule.joined}”. Each different combination becomes a class "
            "of its own; a picture can have only one label."
        )
        return [LabelWarning("several-labels", message)]
    return []


def _rows_without(count: int) -> str:
    return "1 row names a picture that isn't" if count == 1 else f"{count:,} rows name pictures that aren't"


def _names(count: int) -> str:
    return "1 name in the table fits" if count == 1 else f"{count:,} names in the table fit"


def _conflicts(labelled: Labelled) -> list[LabelWarning]:
    if not labelled.conflicts:
        return []
    first = labelled.conflicts[0]
    message = (
        f"{pictures_have(len(labelled.conflicts))} several names that give different labels, such as "
        f"{' and '.join(first.paths[:2])}. The alphabetically first name decides."
    )
    return [LabelWarning("label-conflict", message)]
