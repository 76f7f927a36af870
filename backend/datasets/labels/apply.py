"""Apply a rule to all images of a dataset."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.evaluation import expression_in_process, pattern_in_process
from backend.datasets.labels.tables import ReadTable
from backend.datasets.repository import ImageNames
from backend.domain.ids import Digest
from backend.domain.labels.rules import CsvRule, Evaluate, LabelRule, ListRule, RuleSpec, apply_rule, parse_rule


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
        conflicts: images whose copies' names give different labels; the alphabetically first name decides.
        left_out: images whose class is left out; they are among the unlabelled ones too.
    """

    images: Sequence[LabelledNames]
    unlabelled: Sequence[ImageNames]
    conflicts: Sequence[ImageNames]
    left_out: Sequence[ImageNames]
    rule: LabelRule
    table: ReadTable | None

    @cached_property
    def label_of(self) -> Mapping[str, str]:
        """Label of each image that has one, by its id."""
        return {found.image.id: found.label for found in self.images}

    @cached_property
    def counts(self) -> Counter[str]:
        """Images of each class."""
        return Counter(found.label for found in self.images)


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
        paths = [image.path for image in content.images]
    rule = parse_rule(
        spec,
        paths=paths,
        table=table.table if table else None,
        images=content.names.index if table else None,
        pattern=partial(content.names.evaluated, pattern),
        expression=partial(content.names.evaluated, expression),
    )
    labelling = apply_rule(rule, content.names.paths, spec.leave_out)
    labels, skipped = labelling.labels, {*labelling.left_out}
    found: list[LabelledNames] = []
    unlabelled: list[ImageNames] = []
    conflicts: list[ImageNames] = []
    left_out: list[ImageNames] = []
    for image in content.images:
        # Nearly every image has only one name.
        given = [label for path in image.paths if (label := labels.get(path)) is not None]
        if given:
            found.append(LabelledNames(image, given[0]))
            if len(given) > 1 and len({*given}) > 1:
                conflicts.append(image)
        else:
            unlabelled.append(image)
            if skipped and not skipped.isdisjoint(image.paths):
                left_out.append(image)
    return Labelled(found, unlabelled, conflicts, left_out, rule, table)
