"""Which images are held out, so that a model is judged on pictures it hasn't learnt from.

Membership follows from the images' bytes or paths, never from the order of
upload or from a random generator's state.
"""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from backend.domain.errors import InvalidInput
from backend.domain.ids import Digest
from backend.domain.images import LabelledImage, normal
from backend.domain.json import Json
from backend.domain.labels.names import NameIndex
from backend.domain.labels.patterns import Pattern
from backend.domain.labels.tables import Lookup, NoTable, Table, image_column
from backend.domain.manifest import FOLDER_WORDS, SIDE_WORDS, Split
from backend.domain.stratified import Member, Shares, stratified, stratified_counts, stratified_singles
from backend.domain.trainable import NoTrainingImages, NoValidationImages


class InvalidSplit(InvalidInput):
    """A split can't be used."""

    code = "split-invalid"


class NoGroups(InvalidSplit):
    """A pattern that is to find groups finds none, so nothing would be kept together."""

    code = "split-without-groups"

    def __init__(self, pattern: str, path: str) -> None:
        super().__init__(
            "The pattern for groups fits none of the pictures' names, so nothing would be kept together.",
            advice=f"A picture is called “/{path[-80:]}”; put round brackets around the group's part of it.",
            details={"group": pattern, "path": path},
        )


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RandomSplit(_Spec):
    """A share of each class, chosen by the images' bytes; ``group`` is a pattern that finds what stays together.

    ``stratified`` marks versions that were split class by class; those from before December 2026 lack it.
    """

    kind: Literal["random"] = "random"
    stratified: Literal[True] = True
    valid: float = Field(0.2, ge=0.01, le=0.9)
    test: float = Field(0.0, ge=0.0, le=0.9)
    seed: int = Field(42, ge=0, le=2**63 - 1)
    group: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        if self.valid + self.test > 0.95:
            raise ValueError("Valid and test together must be at most 0.95, so that something is left to learn from.")
        return self


class FolderSplit(_Spec):
    """By a folder of the path that is called like a side."""

    kind: Literal["folder"] = "folder"
    train: str = Field("train", min_length=1, max_length=200)
    valid: str = Field("valid", min_length=1, max_length=200)
    test: str = Field("test", min_length=1, max_length=200)


class CsvSplit(_Spec):
    """By a column of a table: true and false (held out or not), or the sides' names."""

    kind: Literal["csv"] = "csv"
    column: str = Field("is_valid", min_length=1, max_length=200)
    file: str | None = None


SplitSpec = Annotated[RandomSplit | FolderSplit | CsvSplit, Field(discriminator="kind")]
_SPLIT: Final[TypeAdapter[SplitSpec]] = TypeAdapter(SplitSpec)


def parse_spec(content: Mapping[str, Json]) -> SplitSpec:
    """A split's specification from JSON, such as a frozen version's.

    Raises:
        InvalidSplit: no kind of split looks like this.
    """
    try:
        return _SPLIT.validate_python(dict(content))
    except ValidationError as error:
        raise InvalidSplit(
            "This isn't a way to hold pictures out.",
            advice="There are three kinds: random (a share of each class), folder and csv (a column of a table).",
            details={"fields": [".".join(map(str, problem["loc"])) for problem in error.errors()[:10]]},
        ) from error


FindGroups = Callable[[str, Sequence[str]], Sequence[str | None]]
"""Finds a pattern's group in each NFC path. Raises InvalidInput."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which images are held out.

    Attributes:
        splits: split of each image; what a folder or table says nothing about is missing.
        groups: images of each group that a pattern found; empty where none was asked for.
        test_is_valid: whether the side for the final test is what is held out, because there is none for validation.
    """

    splits: Mapping[Digest, Split]
    groups: Mapping[str, int] = field(default_factory=dict)
    test_is_valid: bool = False


def assign_splits(
    images: Iterable[LabelledImage],
    spec: SplitSpec,
    *,
    table: Table | None = None,
    names: NameIndex | None = None,
    kept: Mapping[Digest, Split] | None = None,
    find_groups: FindGroups | None = None,
) -> Assignment:
    """Split of each image.

    Args:
        images: every labelled image once; their order changes nothing.
        spec: what was asked for.
        table: the table that a split of kind ``csv`` means.
        names: the names of all pictures, for the table; made of ``images`` where it is left out.
        kept: splits of an earlier version that was split in the same way; they stay (``stratified``).
        find_groups: evaluates a pattern of groups; a server does that in a process with limits.

    Raises:
        NoValidationImages, NoTrainingImages: one side would be empty.
        NoGroups: the pattern of groups finds none.
        InvalidInput: the group's pattern or the table can't be used.
    """
    known = list(images)
    match spec:
        case RandomSplit():
            found = _at_random(known, spec, kept or {}, find_groups or find_groups_by_pattern)
        case FolderSplit():
            found = _by_folder(known, spec)
        case CsvSplit(column=column):
            by_row = _by_path(known, _side_of_row(column, table, names or _index_of(known)))
            found = _with_something_held_out(by_row, may_be_test=True)
    _check_sides({*found.splits.values()})
    return found


def assign_at_random(
    labelled: Iterable[tuple[Digest, str]], spec: RandomSplit, kept: Mapping[Digest, Split] | None = None
) -> Assignment:
    """What ``assign_splits`` gives without groups, where only digest and label of each image matter.

    Raises:
        NoValidationImages, NoTrainingImages: one side would be empty.
    """
    found = stratified_singles(labelled, _shares(spec), kept or {})
    _check_sides({*found.values()})
    return Assignment(found)


def count_splits(counts: Mapping[str, int], spec: RandomSplit) -> dict[str, dict[Split, int]]:
    """Images of each class on each side, as ``assign_splits`` gives them without groups and an earlier version.

    Args:
        counts: images of each class.
        spec: what was asked for; it has no groups.

    Raises:
        NoValidationImages, NoTrainingImages: one side would be empty.
    """
    found = stratified_counts(counts, _shares(spec))
    _check_sides({side for sides in found.values() for side in sides})
    return found


def _check_sides(sides: Container[Split]) -> None:
    if Split.VALID not in sides:
        raise NoValidationImages
    if Split.TRAIN not in sides:
        raise NoTrainingImages


def _shares(spec: RandomSplit) -> Shares:
    return Shares(spec.valid, spec.test, spec.seed)


def find_groups_by_pattern(text: str, paths: Sequence[str]) -> Sequence[str | None]:
    """The group that the pattern ``text`` finds in each path. Raises InvalidPattern."""
    pattern = Pattern.parse(text, group="group")
    return [pattern.find(path) for path in paths]


def _at_random(
    images: Sequence[LabelledImage], spec: RandomSplit, kept: Mapping[Digest, Split], find_groups: FindGroups
) -> Assignment:
    if not spec.group:
        return assign_at_random(((image.digest, image.label) for image in images), spec, kept)
    group_of = _groups(images, spec.group, find_groups)
    groups = Counter(group_of.values())
    if not groups:
        raise NoGroups(spec.group, images[0].paths[0] if images else "")
    unit_of = {digest: f"group {group}" for digest, group in group_of.items()}
    members = [Member(image.digest, image.label, unit_of.get(image.digest, image.digest)) for image in images]
    return Assignment(stratified(members, _shares(spec), kept), groups)


def _groups(images: Sequence[LabelledImage], pattern: str, find_groups: FindGroups) -> dict[Digest, str]:
    """Group of each image that has one: the first that is found in one of its names."""
    named = [(image.digest, normal(path)) for image in images for path in image.paths]
    found: dict[Digest, str] = {}
    for (digest, _), group in zip(named, find_groups(pattern, [path for _, path in named]), strict=True):
        if group:
            found.setdefault(digest, group)
    return found


# Held-out sides win: a copy in the training folder must not be learnt from.
_STRONGEST_FIRST: Final = (Split.TEST, Split.VALID, Split.TRAIN)


def _by_path(images: Iterable[LabelledImage], side_of: Callable[[str], Split | None]) -> dict[Digest, Split]:
    splits: dict[Digest, Split] = {}
    for image in images:
        found = {side_of(normal(path)) for path in image.paths}
        if strongest := next((side for side in _STRONGEST_FIRST if side in found), None):
            splits[image.digest] = strongest
    return splits


def _by_folder(images: Sequence[LabelledImage], spec: FolderSplit) -> Assignment:
    sides = _folder_names(spec)
    splits = _by_path(images, lambda path: _side_of_folder(path, sides))
    return _with_something_held_out(splits, may_be_test=spec.valid == FOLDER_WORDS[Split.VALID][0])


def _with_something_held_out(splits: Mapping[Digest, Split], *, may_be_test: bool) -> Assignment:
    """Data with two sides, train and test, hold out the second."""
    found = set(splits.values())
    if not may_be_test or Split.VALID in found or Split.TEST not in found:
        return Assignment(splits)
    held_out = {digest: Split.VALID if side is Split.TEST else side for digest, side in splits.items()}
    return Assignment(held_out, test_is_valid=True)


def _folder_names(spec: FolderSplit) -> dict[str, Split]:
    """Side of each folder name, without capitals; a name that was asked for wins over a usual one."""
    asked = {spec.test: Split.TEST, spec.valid: Split.VALID, spec.train: Split.TRAIN}
    usual = {
        word: side
        for side, name in ((Split.TRAIN, spec.train), (Split.VALID, spec.valid), (Split.TEST, spec.test))
        for word in FOLDER_WORDS[side]
        if name.casefold() == FOLDER_WORDS[side][0]
    }
    return usual | {normal(name).casefold(): side for name, side in asked.items()}


def _side_of_folder(path: str, sides: Mapping[str, Split]) -> Split | None:
    return _first(path.split("/")[:-1], lambda part: sides.get(part.casefold()))


def _index_of(images: Sequence[LabelledImage]) -> NameIndex:
    digest_of = {path: image.digest for image in images for path in image.paths}
    return NameIndex.of([*digest_of], digest_of)


def _side_of_row(column: str, table: Table | None, index: NameIndex) -> Callable[[str], Split | None]:
    if table is None:
        raise NoTable
    side_at = table.column(column)
    cells = table.cells(side_at)
    if unknown := next((cell for cell in cells if cell and cell.casefold() not in SIDE_WORDS), None):
        raise InvalidSplit(
            f"“{unknown[:40]}” in column {column} of {table.file} isn't a side.",
            advice="Use true and false, 1 and 0, or train, valid and test.",
        )
    lookup = Lookup.of(table.cells(image_column(table, index)), cells, index, table.file)
    return lambda path: SIDE_WORDS[side.casefold()] if (side := lookup.by_path.get(path)) else None


_Found = TypeVar("_Found")


def _first(values: Iterable[str], found: Callable[[str], _Found | None]) -> _Found | None:
    return next((result for value in values if (result := found(value)) is not None), None)
