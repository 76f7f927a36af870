"""Which images of a dataset are held out, what earlier versions have to do with it, and what is odd about it."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backend.datasets.labels.apply import Labelled
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.evaluation import groups_in_process
from backend.datasets.repository import ImageList
from backend.datasets.version_repository import VersionRepository
from backend.domain.ids import Digest
from backend.domain.labels.warnings import LabelWarning, listed, pictures, pictures_have
from backend.domain.manifest import Split
from backend.domain.splitting import (
    Assignment,
    CsvSplit,
    RandomSplit,
    SplitSpec,
    assign_at_random,
    assign_splits,
    count_splits,
)
from backend.tables.datasets import VersionRow

_VERSIONS_LOOKED_AT = 1_000


@dataclass(frozen=True, slots=True)
class SplitPreview:
    """Images of each class on each side; images of each group; what is odd."""

    counts: Mapping[str, Mapping[Split, int]]
    groups: Mapping[str, int]
    warnings: Sequence[LabelWarning]


def split_labelled(content: DatasetContent, labelled: Labelled, spec: SplitSpec) -> dict[str, Split]:
    """Split of each labelled image that has one, by its id.

    Raises:
        NoValidationImages, NoTrainingImages, InvalidInput
    """
    found = _assigned(content, labelled, spec, _kept(content, spec))
    return _by_id(labelled, found)


def preview_split(content: DatasetContent, labelled: Labelled, spec: SplitSpec) -> SplitPreview:
    """What ``split_labelled`` would give, in numbers.

    Raises:
        As ``split_labelled``.
    """
    versions = VersionRepository(content.session)
    kept, trained = _kept(content, spec), versions.trained(content.dataset_id)
    if isinstance(spec, RandomSplit) and not (spec.group or kept or trained):
        # Which images they are matters to nobody yet.
        certain = count_splits(labelled.counts, spec)
        return SplitPreview(certain, {}, _side_warnings(certain, 0))
    found = _assigned(content, labelled, spec, kept)
    splits = _by_id(labelled, found)
    counts = _counts(labelled, splits)
    warnings = [
        *_side_warnings(counts, labelled.counts.total() - len(splits)),
        *_group_warnings(found, splits),
        *_moved_warnings(versions, trained, splits),
    ]
    return SplitPreview(counts, found.groups, warnings)


def _assigned(content: DatasetContent, labelled: Labelled, spec: SplitSpec, kept: Mapping[str, str]) -> Assignment:
    if isinstance(spec, RandomSplit) and not spec.group:
        pairs = zip(labelled.every.digests, labelled.labels, strict=True)
        known = ((digest, label) for digest, label in pairs if label is not None)
        return assign_at_random(known, spec, _by_digest(content.images, kept))
    table = None
    if isinstance(spec, CsvSplit):
        table = labelled.table if labelled.table and spec.file is None else content.table(spec.file)
    return assign_splits(
        labelled.images,
        spec,
        table=table.table if table else None,
        names=content.names.index if table else None,
        kept=_by_digest(content.images, kept),
        find_groups=groups_in_process,
    )


def _by_id(labelled: Labelled, found: Assignment) -> dict[str, Split]:
    side_of, every = found.splits, labelled.every
    pairs = zip(every.ids, every.digests, strict=True)
    return {image_id: side_of[digest] for image_id, digest in pairs if digest in side_of}


def _by_digest(images: ImageList, sides: Mapping[str, str]) -> dict[Digest, Split]:
    if not sides:
        return {}
    called = {side.value: side for side in Split}
    pairs = zip(images.ids, images.digests, strict=True)
    return {digest: called[sides[image_id]] for image_id, digest in pairs if image_id in sides}


def _counts(labelled: Labelled, splits: Mapping[str, Split]) -> dict[str, Counter[Split]]:
    counts: dict[str, Counter[Split]] = defaultdict(Counter)
    pairs = zip(labelled.labels, map(splits.get, labelled.every.ids), strict=True)
    for (label, side), images in Counter(pairs).items():
        if label is not None and side is not None:
            counts[label][side] = images
    return counts


def _kept(content: DatasetContent, spec: SplitSpec) -> dict[str, str]:
    """Splits of the newest version that was split at random in the same way, by the images' ids."""
    if not isinstance(spec, RandomSplit):
        return {}
    versions = VersionRepository(content.session)
    asked = spec.model_dump(exclude_none=True)
    same = (row for row in versions.of_dataset(content.dataset_id, limit=_VERSIONS_LOOKED_AT) if row.split == asked)
    return versions.splits_of(newest.id) if (newest := next(same, None)) else {}


def _side_warnings(counts: Mapping[str, Mapping[Split, int]], left_out: int) -> list[LabelWarning]:
    warnings = []
    if untaught := sorted(label for label, sides in counts.items() if Split.TRAIN not in sides):
        have, them = ("has", "it") if len(untaught) == 1 else ("have", "them")
        message = f"{listed(untaught)} {have} only held-out pictures, so there is nothing to learn {them} from."
        warnings.append(LabelWarning("class-without-training", message, tuple(untaught)))
    if untested := sorted(
        label for label, sides in counts.items() if sides.get(Split.TRAIN, 0) > 1 and Split.VALID not in sides
    ):
        have, them = ("has", "it") if len(untested) == 1 else ("have", "them")
        message = f"{listed(untested)} {have} no held-out picture, so it stays unknown how well the model knows {them}."
        warnings.append(LabelWarning("class-without-validation", message, tuple(untested)))
    if left_out:
        message = f"{pictures_have(left_out)} a label but are on no side, neither for training nor for testing."
        if left_out == 1:
            message = "1 picture has a label but is on no side, neither for training nor for testing."
        warnings.append(
            LabelWarning(
                "split-unassigned", f"{message} They are left out." if left_out > 1 else f"{message} It is left out."
            )
        )
    return warnings


def _group_warnings(found: Assignment, splits: Mapping[str, Split]) -> list[LabelWarning]:
    warnings = []
    if found.test_is_valid:
        message = "Nothing is marked for validation, so the pictures that are marked for a test are the held-out ones."
        warnings.append(LabelWarning("test-folder-held-out", message))
    if found.groups:
        alone = len(splits) - sum(found.groups.values())
        sizes = sorted(found.groups.values())
        size = f"{sizes[0]:,} to {sizes[-1]:,} pictures each" if sizes[0] < sizes[-1] else f"{pictures(sizes[0])} each"
        groups = "1 group" if len(sizes) == 1 else f"{len(sizes):,} groups"
        rest = f"; {pictures_have(alone)} none and count as groups of their own" if alone > 0 else ""
        message = f"The pattern finds {groups} of {size}{rest}. Each group stays on one side."
        warnings.append(LabelWarning("groups", message))
    return warnings


def _moved_warnings(
    versions: VersionRepository, trained: Sequence[VersionRow], splits: Mapping[str, Split]
) -> list[LabelWarning]:
    """Where scores of earlier trainings and of later ones can't be compared, because pictures change sides."""
    moved = {row.number: _learnt_from(versions.held_out(row.id), splits) for row in trained}
    exposed = {image_id for images in moved.values() for image_id in images}
    warnings = []
    if exposed:
        was = "1 picture that was" if len(exposed) == 1 else f"{len(exposed):,} pictures that were"
        message = (
            f"{was} held out in {_versions(sorted(number for number in moved if moved[number]))} would now be learnt "
            "from. The scores of new trainings can't be compared with the earlier ones."
        )
        warnings.append(LabelWarning("held-out-moved", message))
    if trained and (known := _held_out(versions.learnt_from(trained[0].id), splits)):
        was = "1 picture is" if known == 1 else f"{known:,} pictures are"
        message = (
            f"{was} now held out that trainings of version {trained[0].number} have learnt from. Start new trainings "
            "from the beginning: a model that goes on from an earlier one would score too well."
        )
        warnings.append(LabelWarning("learnt-held-out", message))
    return warnings


def _learnt_from(images: Sequence[str], splits: Mapping[str, Split]) -> list[str]:
    return [image_id for image_id in images if splits.get(image_id) is Split.TRAIN]


def _held_out(images: Sequence[str], splits: Mapping[str, Split]) -> int:
    return sum(splits.get(image_id) in (Split.VALID, Split.TEST) for image_id in images)


def _versions(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"version {numbers[0]}"
    shown = ", ".join(map(str, numbers[:-1]))
    return f"versions {shown} and {numbers[-1]}"
