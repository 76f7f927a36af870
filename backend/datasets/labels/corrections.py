"""A rule's labels with what people changed on top: what counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from weakref import WeakKeyDictionary

from sqlalchemy.orm import Session

from backend.datasets.labels.apply import Labelled, LabelledNames, label_images
from backend.datasets.labels.content import DatasetContent, Names
from backend.datasets.labels.repository import LabelLedger
from backend.datasets.repository import ImageNames
from backend.datasets.versions import latest_version
from backend.domain.errors import InvalidInput
from backend.domain.labels.overrides import Overrides
from backend.domain.labels.rules import ListRule, RuleSpec, parse_spec
from backend.domain.splitting import SplitSpec
from backend.domain.splitting import parse_spec as parse_split

BY_HAND: Final = ListRule(labels={})
"""The rule that gives no label: all of them come from labelling by hand."""
_REMEMBERED: Final = 2


@dataclass(frozen=True)
class Corrected(Labelled):
    """A rule's labels after what people changed.

    Attributes:
        overrides: what they changed.
        by_hand: images that have their label from somebody.
        dropped: images that somebody left out, alone or with their class; they are among the unlabelled ones too.
    """

    overrides: Overrides
    by_hand: Sequence[LabelledNames]
    dropped: Sequence[ImageNames]


def corrected(content: DatasetContent, labelled: Labelled) -> Corrected:
    """What a rule gave, with what people changed on top."""
    overrides = LabelLedger(content.session).overrides(content.dataset_id)
    kept = (labelled.left_out, labelled.rule, labelled.table)
    if not overrides:
        return Corrected(labelled.every, labelled.labels, labelled.conflicts, *kept, overrides, (), ())
    labels: list[str | None] = []
    by_hand: list[LabelledNames] = []
    dropped: list[ImageNames] = []
    for image, given in zip(labelled.every, labelled.labels, strict=True):
        label = overrides.label(image.digest, given)
        labels.append(label)
        if label is None:
            if overrides.is_left_out(image.digest, given):
                dropped.append(image)
        elif image.digest in overrides.images:
            by_hand.append(LabelledNames(image, label))
    # Who chose a label for a picture has settled which of its names is right.
    conflicts = [image for image in labelled.conflicts if image.digest not in overrides.images]
    return Corrected(labelled.every, labels, conflicts, *kept, overrides, by_hand, dropped)


@dataclass(frozen=True, slots=True)
class PresentRule:
    """The rule and the split that a dataset's labels follow at present."""

    rule: RuleSpec
    split: SplitSpec


def present_rule(session: Session, dataset_id: str) -> PresentRule | None:
    """The one that was chosen last, else that of the newest version; None where nobody has chosen any."""
    row = LabelLedger(session).rule(dataset_id) or latest_version(session, dataset_id)
    return PresentRule(parse_spec(row.rule), parse_split(row.split)) if row else None


class RuleLabels:
    """What a rule gives, with what is looked up in it again and again."""

    def __init__(self, content: DatasetContent, labelled: Labelled) -> None:
        self.labelled = labelled
        self._images = content.images

    @cached_property
    def image_of(self) -> Mapping[str, ImageNames]:
        """Every image, by its id."""
        return {image.id: image for image in self._images}

    @property
    def label_of(self) -> Mapping[str, str]:
        """Label of each image that the rule gives one, by its id."""
        return self.labelled.label_of


def labels_by_rule(content: DatasetContent, rule: RuleSpec | None = None) -> RuleLabels:
    """What a rule gives, by default the present one; remembered, because each change by hand asks for it.

    Raises:
        InvalidInput: the rule doesn't fit the dataset any more, such as one whose table was deleted.
    """
    if rule is None:
        present = present_rule(content.session, content.dataset_id)
        rule = present.rule if present else BY_HAND
    tables = tuple(row.id for row in content.tables)
    known = _KNOWN.setdefault(content.names, [])
    for kept in [*known]:
        if kept[0] == tables and kept[1] == rule:
            return kept[2]
    found = RuleLabels(content, label_images(content, rule))
    _KNOWN[content.names] = [(tables, rule, found), *known][:_REMEMBERED]
    return found


def rule_or_by_hand(content: DatasetContent) -> RuleLabels:
    """What the present rule gives; nothing where it doesn't fit any more: labels by hand must still be possible.

    Raises:
        As ``labels_by_rule`` does for ``BY_HAND``.
    """
    try:
        return labels_by_rule(content)
    except InvalidInput:
        return labels_by_rule(content, BY_HAND)


_KNOWN: Final[WeakKeyDictionary[Names, list[tuple[tuple[str, ...], RuleSpec, RuleLabels]]]] = WeakKeyDictionary()


def present_labels(content: DatasetContent) -> Corrected:
    """The labels of a dataset as they stand. Raises InvalidInput as ``labels_by_rule`` does."""
    return corrected(content, labels_by_rule(content).labelled)
