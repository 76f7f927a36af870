"""Try a rule and a split on a dataset without storing anything, and look at what they give."""

from bisect import insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from backend.datasets.labels.apply import Labelled, label_images
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.corrections import Corrected, corrected
from backend.datasets.labels.sides import SplitPreview, preview_split
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
    found = SplitPreview({}, {}, ())
    if labelled.counts:
        try:
            found = preview_split(content, labelled, split or RandomSplit())
        except (NoValidationImages, NoTrainingImages) as error:
            warnings.append(LabelWarning(error.code, error.message))
        else:
            warnings += found.warnings
    return Preview(
        _class_previews(labelled, found.counts),
        labelled.counts.total(),
        labelled.unlabelled,
        warnings,
        labelled.table,
        labelled.rule,
        found.groups,
        len(labelled.by_hand),
        len(labelled.dropped),
        labelled.overrides.classes,
    )


def _class_previews(labelled: Labelled, counts: Mapping[str, Mapping[Split, int]]) -> list[ClassPreview]:
    examples = _examples(labelled)
    return [
        ClassPreview(name, labelled.counts[name], counts.get(name, {}), examples[name])
        for name in sorted(labelled.counts)
    ]


def _examples(labelled: Labelled) -> Mapping[str, Sequence[ImageNames]]:
    """The first images of each class by digest, so that they are mixed and don't change with every upload."""
    shown = max(1, min(EXAMPLES, EXAMPLES_IN_ALL // max(1, len(labelled.counts))))
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    last: dict[str, str] = {}
    """Digest of the last one of each class that has enough: few images come before it."""
    for place, (digest, label) in enumerate(zip(labelled.every.digests, labelled.labels, strict=True)):
        if label is None or (label in last and digest > last[label]):
            continue
        of_class = found[label]
        insort(of_class, (digest, place))
        del of_class[shown:]
        if len(of_class) == shown:
            last[label] = of_class[-1][0]
    return {label: labelled.every.at([place for _, place in of_class]) for label, of_class in found.items()}


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
    if names := rule.lookup.conflicts:
        shown = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
        several = "1 picture" if len(names) == 1 else f"{len(names):,} pictures"
        it = "It gets" if len(names) == 1 else "They get"
        message = f"The table gives different labels to {several}: {shown}. {it} no label."
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
