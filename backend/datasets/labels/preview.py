"""Say how labels are read: try a rule on a dataset without storing anything, and look at what it gives."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from backend.datasets.labels.tables import ReadTable, find_table
from backend.datasets.repository import DatasetRepository, ImageNames
from backend.domain.ids import Digest
from backend.domain.images import LabelledImage, normal_path
from backend.domain.labels.rules import ByTable, CsvRule, LabelRule, RuleSpec, apply_rule, parse_rule
from backend.domain.labels.warnings import LabelWarning, warnings_about
from backend.domain.manifest import Split
from backend.domain.splitting import (
    CsvSplit,
    NoTrainingImages,
    NoValidationImages,
    RandomSplit,
    SplitSpec,
    assign_splits,
)
from backend.storage.base import Storage

EXAMPLES: Final = 4


@dataclass(frozen=True, slots=True)
class LabelledNames:
    """An image with its label."""

    image: ImageNames
    label: str


@dataclass(frozen=True, slots=True)
class Labelled:
    """A dataset with a rule laid over it."""

    images: Sequence[LabelledNames]
    unlabelled: Sequence[ImageNames]
    conflicts: Sequence[ImageNames]
    """Images whose copies' names give different labels; the alphabetically first name decides."""
    rule: LabelRule
    table: ReadTable | None

    @property
    def counts(self) -> Counter[str]:
        """Images of each class."""
        return Counter(found.label for found in self.images)

    @property
    def classes(self) -> list[str]:
        """Names in the order of the outputs."""
        return sorted(self.counts)


@dataclass(frozen=True, slots=True)
class ClassPreview:
    """What one class would be."""

    name: str
    images: int
    splits: Mapping[Split, int]
    examples: Sequence[ImageNames]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule and a split would give; nothing of it is stored."""

    classes: Sequence[ClassPreview]
    labelled: int
    unlabelled: Sequence[ImageNames]
    warnings: Sequence[LabelWarning]
    table: ReadTable | None
    rule: LabelRule


def label_dataset(session: Session, storage: Storage, dataset_id: str, spec: RuleSpec) -> Labelled:
    """Lay a rule over a dataset's images.

    Raises:
        DatasetNotFound, InvalidInput
    """
    repository = DatasetRepository(session)
    repository.get(dataset_id)
    return label_images(session, storage, dataset_id, repository.image_names(dataset_id), spec)


def label_images(
    session: Session, storage: Storage, dataset_id: str, images: Sequence[ImageNames], spec: RuleSpec
) -> Labelled:
    """Lay a rule over ``images`` of a dataset. Raises InvalidInput."""
    shown = [image.path for image in images]
    table = None
    if isinstance(spec, CsvRule):
        every = [path for image in images for path in image.paths]
        table = find_table(
            session, storage, dataset_id, every, file=spec.file, delimiter=spec.delimiter, encoding=spec.encoding
        )
        shown = every
    rule = parse_rule(spec, paths=shown, table=table.table if table else None)
    labels = apply_rule(rule, (path for image in images for path in image.paths)).labels
    found: list[LabelledNames] = []
    unlabelled: list[ImageNames] = []
    conflicts: list[ImageNames] = []
    for image in images:
        given = [labels[path] for path in image.paths if path in labels]
        if given:
            found.append(LabelledNames(image, given[0]))
        else:
            unlabelled.append(image)
        if len(set(given)) > 1:
            conflicts.append(image)
    return Labelled(found, unlabelled, conflicts, rule, table)


def split_dataset(
    session: Session, storage: Storage, dataset_id: str, labelled: Labelled, spec: SplitSpec
) -> Mapping[Digest, Split]:
    """Split of each labelled image.

    Raises:
        NoValidationImages, NoTrainingImages, InvalidInput
    """
    images = [LabelledImage(found.image.digest, found.label, found.image.paths) for found in labelled.images]
    table = None
    if isinstance(spec, CsvSplit):
        table = labelled.table.table if labelled.table and spec.file is None else None
        if table is None:
            paths = [path for image in images for path in image.paths]
            table = find_table(session, storage, dataset_id, paths, file=spec.file).table
    return assign_splits(images, spec, table=table)


def preview(
    session: Session, storage: Storage, dataset_id: str, rule: RuleSpec, split: SplitSpec | None = None
) -> Preview:
    """What ``rule`` and ``split`` would give.

    Raises:
        DatasetNotFound, InvalidInput
    """
    labelled = label_dataset(session, storage, dataset_id, rule)
    return preview_of(session, storage, dataset_id, labelled, split)


def preview_of(
    session: Session, storage: Storage, dataset_id: str, labelled: Labelled, split: SplitSpec | None = None
) -> Preview:
    """The same for labels that are there already."""
    warnings = [*warnings_about(labelled.counts), *_table_warnings(labelled), *_conflict_warnings(labelled)]
    splits: Mapping[Digest, Split] = {}
    if labelled.images:
        try:
            splits = split_dataset(session, storage, dataset_id, labelled, split or RandomSplit())
        except (NoValidationImages, NoTrainingImages) as error:
            warnings.append(LabelWarning(error.code, error.message))
        else:
            warnings += _unsplit_warnings(labelled, splits)
    return Preview(
        _class_previews(labelled, splits),
        len(labelled.images),
        labelled.unlabelled,
        warnings,
        labelled.table,
        labelled.rule,
    )


def _class_previews(labelled: Labelled, splits: Mapping[Digest, Split]) -> list[ClassPreview]:
    members: dict[str, list[ImageNames]] = defaultdict(list)
    for found in labelled.images:
        members[found.label].append(found.image)
    return [
        ClassPreview(
            name,
            len(members[name]),
            Counter(splits[image.digest] for image in members[name] if image.digest in splits),
            # By digest, so that the faces are mixed and don't change with every upload.
            sorted(members[name], key=lambda image: image.digest)[:EXAMPLES],
        )
        for name in sorted(members)
    ]


def _table_warnings(labelled: Labelled) -> list[LabelWarning]:
    rule = labelled.rule
    if not isinstance(rule, ByTable):
        return []
    images = [*(found.image for found in labelled.images), *labelled.unlabelled]
    missing = rule.lookup.names_without_image(normal_path(path) for image in images for path in image.paths)
    found = []
    if missing:
        shown = ", ".join(missing[:3])
        more = " …" if len(missing) > 3 else ""
        found.append(LabelWarning("rows-without-image", f"{_rows_without(len(missing))} here: {shown}{more}"))
    if labelled.unlabelled:
        count = len(labelled.unlabelled)
        found.append(LabelWarning("images-without-row", f"{_pictures(count)} no row in the table."))
    if rule.lookup.conflicts:
        shown = ", ".join(rule.lookup.conflicts[:3])
        message = f"The table names some pictures twice with different labels: {shown}. They get no label."
        found.append(LabelWarning("table-contradicts-itself", message))
    return found


def _rows_without(count: int) -> str:
    return "1 row names a picture that isn't" if count == 1 else f"{count:,} rows name pictures that aren't"


def _pictures(count: int) -> str:
    return "1 picture has" if count == 1 else f"{count:,} pictures have"


def _conflict_warnings(labelled: Labelled) -> list[LabelWarning]:
    if not labelled.conflicts:
        return []
    first = labelled.conflicts[0]
    message = (
        f"{_pictures(len(labelled.conflicts))} several names that give different labels, such as "
        f"{' and '.join(first.paths[:2])}. The alphabetically first name decides."
    )
    return [LabelWarning("label-conflict", message)]


def _unsplit_warnings(labelled: Labelled, splits: Mapping[Digest, Split]) -> list[LabelWarning]:
    left_out = sum(found.image.digest not in splits for found in labelled.images)
    if not left_out:
        return []
    message = f"{_pictures(left_out)} a label but no side, neither for training nor for testing, and would be left out."
    return [LabelWarning("split-unassigned", message)]
