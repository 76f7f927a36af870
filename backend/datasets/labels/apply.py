"""Apply a rule to all images of a dataset."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.evaluation import expression_in_process, pattern_in_process
from backend.datasets.labels.tables import ReadTable
from backend.datasets.repository import ImageList, ImageNames
from backend.domain.ids import Digest
from backend.domain.labels.rules import (
    CsvRule,
    Evaluate,
    LabelRule,
    ListRule,
    RuleSpec,
    kept_labels,
    labels_left_out,
    parse_rule,
)


class LabelledNames(NamedTuple):
    """An image with its label."""

    image: ImageNames
    label: str

    @property
    def digest(self) -> Digest:
        """SHA-256 of its bytes."""
        return self.image.digest

    @property
    def paths(self) -> tuple[str, ...]:
        """All of its names, sorted."""
        return self.image.paths


@dataclass(frozen=True)
class Labelled:
    """A dataset's images with the labels that a rule gives.

    Attributes:
        every: all images of the dataset.
        labels: the label of each of them, in their order; None where the rule gives none.
        conflicts: images whose copies' names give different labels; the alphabetically first name decides.
        left_out: images whose class is left out; they are among the unlabelled ones too.
    """

    every: ImageList
    labels: Sequence[str | None]
    conflicts: Sequence[ImageNames]
    left_out: Sequence[ImageNames]
    rule: LabelRule
    table: ReadTable | None

    @cached_property
    def images(self) -> Sequence[LabelledNames]:
        """Each image that has a label. Previews do without: 100,000 new objects cost more than all they count."""
        pairs = zip(self.every, self.labels, strict=True)
        return [LabelledNames(image, label) for image, label in pairs if label is not None]

    @cached_property
    def unlabelled(self) -> ImageList:
        """The images without a label."""
        return self.every.at([place for place, label in enumerate(self.labels) if label is None])

    @cached_property
    def label_of(self) -> Mapping[str, str]:
        """Label of each image that has one, by its id."""
        pairs = zip(self.every.ids, self.labels, strict=True)
        return {image_id: label for image_id, label in pairs if label is not None}

    @cached_property
    def counts(self) -> Counter[str]:
        """Images of each class."""
        return Counter({label: images for label, images in Counter(self.labels).items() if label is not None})


def label_images(
    content: DatasetContent,
    spec: RuleSpec,
    *,
    pattern: Evaluate = pattern_in_process,
    expression: Evaluate = expression_in_process,
) -> Labelled:
    """Label a dataset's images by a rule. Raises InvalidInput."""
    table = None
    paths: Sequence[str] = ()
    if isinstance(spec, CsvRule):
        table = content.table(spec.file, spec.delimiter, spec.encoding)
    elif isinstance(spec, ListRule):
        paths = content.images.paths
    rule = parse_rule(
        spec,
        paths=paths,
        table=table.table if table else None,
        images=content.names.index if table else None,
        pattern=partial(content.names.evaluated, pattern),
        expression=partial(content.names.evaluated, expression),
    )
    of_paths = kept_labels(rule, content.names.paths)
    skipped = labels_left_out(of_paths, spec.leave_out)
    labels: list[str | None] = []
    conflicts: list[ImageNames] = []
    left_out: list[ImageNames] = []
    at = 0
    several = content.images.several
    for place, image_id in enumerate(content.images.ids):
        label = of_paths[at]
        names = len(several[image_id]) if image_id in several else 1
        at += names
        # Nearly every image has only one name, and a label that counts.
        if names > 1 or label in skipped:
            label, differ, is_left_out = _of_names(of_paths[at - names : at], skipped)
            if differ:
                conflicts.append(content.images[place])
            if is_left_out:
                left_out.append(content.images[place])
        labels.append(label)
    return Labelled(content.images, labels, conflicts, left_out, rule, table)


def _of_names(labels: Sequence[str | None], skipped: frozenset[str]) -> tuple[str | None, bool, bool]:
    """The label of an image whose names have ``labels``, whether they differ, and whether it is left out."""
    given = [label for label in labels if label is not None and label not in skipped]
    if not given:
        return None, False, not skipped.isdisjoint(labels)
    return given[0], len({*given}) > 1, False
