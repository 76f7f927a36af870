"""Which images are held out, so that a model is judged on pictures it hasn't learnt from.

Membership follows from the images' bytes or paths, never from the order of
upload or from a random generator's state.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from backend.domain.errors import InvalidInput
from backend.domain.ids import Digest
from backend.domain.images import LabelledImage, normal, normal_path
from backend.domain.json import Json
from backend.domain.labels.patterns import Pattern
from backend.domain.labels.tables import InvalidTable, Lookup, Table, image_column
from backend.domain.manifest import Split


class InvalidSplit(InvalidInput):
    """A split can't be used."""

    code = "split-invalid"


class NoValidationImages(InvalidInput):
    """Nothing would be held out, so nobody could tell how good the model is."""

    code = "split-without-validation"

    def __init__(self) -> None:
        super().__init__(
            "No picture would be held out for testing the model.",
            advice="Bring at least two pictures of each kind, or choose another way to hold pictures out.",
        )


class NoTrainingImages(InvalidInput):
    """Everything would be held out."""

    code = "split-without-training"

    def __init__(self) -> None:
        super().__init__(
            "Every picture would be held out for testing, so there is nothing to learn from.",
            advice="Choose another way to hold pictures out.",
        )


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RandomSplit(_Spec):
    """A share of the images, chosen by their bytes; whole groups where ``group`` finds a group's name in the path."""

    kind: Literal["random"] = "random"
    valid: float = Field(0.2, ge=0.01, le=0.9)
    test: float = Field(0.0, ge=0.0, le=0.9)
    seed: int = Field(42, ge=0, le=2**63 - 1)
    group: str | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        if self.valid + self.test > 0.95:
            raise ValueError("valid and test together must leave at least 0.05 for training")
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
    """A split's specification from JSON.

    Raises:
        InvalidSplit: no kind of split looks like this.
    """
    try:
        return _SPLIT.validate_python(dict(content))
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise InvalidSplit(
            f"This isn't a way to hold pictures out: {field or 'kind'}: {problem['msg'].lower()}.",
            advice="The three kinds are random, folder and csv.",
        ) from error


def assign_splits(
    images: Iterable[LabelledImage], spec: SplitSpec, *, table: Table | None = None
) -> Mapping[Digest, Split]:
    """Split of each image; what a folder or table says nothing about is left out of the answer.

    Raises:
        NoValidationImages, NoTrainingImages: one side would be empty.
        InvalidInput: the group's pattern or the table can't be used.
    """
    known = list(images)
    match spec:
        case RandomSplit():
            splits = _by_bytes(known, spec)
        case FolderSplit():
            sides = _folder_names(spec)
            splits = _by_path(known, lambda path: _side_of_folder(path, sides))
        case CsvSplit(column=column):
            splits = _by_path(known, _side_of_row(column, table, known))
    found = set(splits.values())
    if Split.VALID not in found:
        raise NoValidationImages
    if Split.TRAIN not in found:
        raise NoTrainingImages
    return splits


def _by_bytes(images: Sequence[LabelledImage], spec: RandomSplit) -> dict[Digest, Split]:
    """Every image on the side that its own hash says.

    The keyed hash of an image (or of its group) is a number in [0, 1); below
    ``valid`` it is held out. That number never changes, so pictures added later
    move nobody, and copies, which share a digest, can't straddle the line. The
    price against cutting a ranked list: a class gets its share only on average, 20
    images of 100 give or take 4.

    Small classes need help: a class without a validation image lends its lowest
    hash, one without a training image its highest. Only such a stand-in may go back
    when the class grows.
    """
    key_of = _group_keys(images, spec.group)
    rank = {key: _rank(key, spec.seed) for key in key_of.values()}
    sides = {key: _side(rank[key], spec) for key in rank}
    members: dict[str, set[str]] = defaultdict(set)
    for image in images:
        members[image.label].add(key_of[image.digest])
    for label in sorted(members):
        ranked = sorted(members[label], key=lambda key: (rank[key], key))
        _help_small_class(ranked, sides)
    return {image.digest: sides[key_of[image.digest]] for image in images}


def _help_small_class(ranked: Sequence[str], sides: dict[str, Split]) -> None:
    if len(ranked) == 1:
        # What can't be learnt from anything else can't be tested either.
        sides[ranked[0]] = Split.TRAIN
        return
    if all(sides[key] is not Split.VALID for key in ranked):
        sides[ranked[0]] = Split.VALID
    if all(sides[key] is not Split.TRAIN for key in ranked):
        sides[ranked[-1]] = Split.TRAIN


def _side(rank: float, spec: RandomSplit) -> Split:
    if rank < spec.valid:
        return Split.VALID
    return Split.TEST if rank < spec.valid + spec.test else Split.TRAIN


def _rank(key: str, seed: int) -> float:
    """A number in [0, 1) that only ``key`` and ``seed`` decide."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def _group_keys(images: Sequence[LabelledImage], group: str | None) -> dict[Digest, str]:
    """Key of each image: its group's name, or its digest where it has no group."""
    if group is None:
        return {image.digest: image.digest for image in images}
    pattern = Pattern.parse(group, group="group")
    found = {image.digest: _first(image.paths, lambda path: pattern.find(normal(path))) for image in images}
    return {digest: f"group {name}" if name else digest for digest, name in found.items()}


# Held-out sides win: a copy in the training folder must not be learnt from.
_STRONGEST_FIRST: Final = (Split.TEST, Split.VALID, Split.TRAIN)


def _by_path(images: Iterable[LabelledImage], side_of: Callable[[str], Split | None]) -> dict[Digest, Split]:
    splits: dict[Digest, Split] = {}
    for image in images:
        found = {side_of(normal(path)) for path in image.paths}
        if strongest := next((side for side in _STRONGEST_FIRST if side in found), None):
            splits[image.digest] = strongest
    return splits


def _folder_names(spec: FolderSplit) -> dict[str, Split]:
    names = {spec.test: Split.TEST, spec.valid: Split.VALID, spec.train: Split.TRAIN}
    if spec.valid == "valid":
        names = {"validation": Split.VALID, "val": Split.VALID, **names}
    return {normal(name).casefold(): side for name, side in names.items()}


def _side_of_folder(path: str, sides: Mapping[str, Split]) -> Split | None:
    return _first(path.split("/")[:-1], lambda part: sides.get(part.casefold()))


_SIDE_WORDS: Final = {
    **dict.fromkeys(("true", "1", "1.0", "yes", "t", "y", "valid", "validation", "val"), Split.VALID),
    **dict.fromkeys(("false", "0", "0.0", "no", "f", "n", "train", "training"), Split.TRAIN),
    **dict.fromkeys(("test", "testing"), Split.TEST),
}


def _side_of_row(column: str, table: Table | None, images: Sequence[LabelledImage]) -> Callable[[str], Split | None]:
    if table is None:
        raise InvalidTable("There is no table among the files.", advice="Bring one as .csv, .tsv or .txt.")
    names_at = image_column(table, [path for image in images for path in image.paths])
    side_at = table.column(column)
    lookup = Lookup.of((row[names_at], row[side_at]) for row in table.rows)

    def side(path: str) -> Split | None:
        value = lookup.value(normal_path(path))
        if value is None:
            return None
        if (word := value.casefold()) not in _SIDE_WORDS:
            raise InvalidSplit(
                f"“{value[:40]}” in column {column} of {table.file} isn't a side.",
                advice="Use true and false, 1 and 0, or train, valid and test.",
            )
        return _SIDE_WORDS[word]

    return side


_Found = TypeVar("_Found")


def _first(values: Iterable[str], found: Callable[[str], _Found | None]) -> _Found | None:
    return next((result for value in values if (result := found(value)) is not None), None)
