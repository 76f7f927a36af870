import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.errors import InvalidInput
from backend.domain.ids import Digest
from backend.domain.labels.names import NameIndex
from backend.domain.labels.tables import Table
from backend.domain.manifest import Split
from backend.domain.splitting import (
    CsvSplit,
    FolderSplit,
    InvalidSplit,
    NoGroups,
    RandomSplit,
    SplitSpec,
    assign_at_random,
    assign_splits,
    count_splits,
    parse_spec,
)
from backend.domain.trainable import NoTrainingImages, NoValidationImages


class Labelled(NamedTuple):
    digest: Digest
    label: str
    paths: tuple[str, ...]


def split_of(
    images: list[Labelled], spec: SplitSpec, table: Table | None = None, kept: Mapping[Digest, Split] | None = None
) -> Mapping[Digest, Split]:
    return assign_splits(images, spec, table=table, kept=kept).splits


def image(label: str, number: int, *paths: str) -> Labelled:
    digest = Digest(hashlib.sha256(f"{label} {number}".encode()).hexdigest())
    return Labelled(digest, label, paths or (f"{label}/{number}.jpg",))


def pictures(**counts: int) -> list[Labelled]:
    return [image(label, number) for label, count in counts.items() for number in range(count)]


def counts(images: list[Labelled], split: Split, **spec: object) -> dict[str, int]:
    splits = split_of(images, RandomSplit.model_validate(spec))
    return dict(Counter(image.label for image in images if splits[image.digest] is split))


images_of_classes = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 30), min_size=1).map(
    lambda sizes: pictures(**sizes)
)
shares = st.builds(RandomSplit, valid=st.floats(0.05, 0.5), test=st.floats(0, 0.4), seed=st.integers(0, 1000))


# At random


@given(images_of_classes, shares)
def test_the_numbers_of_a_preview_are_those_of_the_split(images: list[Labelled], spec: RandomSplit) -> None:
    sizes = Counter(image.label for image in images)
    try:
        splits = split_of(images, spec)
    except NoValidationImages:
        with pytest.raises(NoValidationImages):
            count_splits(sizes, spec)
        return

    found = count_splits(sizes, spec)

    dealt = Counter((image.label, splits[image.digest]) for image in images)
    assert {(label, side): number for label, sides in found.items() for side, number in sides.items()} == dealt
    assert assign_at_random([(image.digest, image.label) for image in images], spec).splits == splits


def test_the_numbers_of_a_preview_name_no_side_without_images() -> None:
    found = count_splits({"cat": 10, "dog": 1}, RandomSplit(valid=0.2))

    assert found == {"cat": {Split.TRAIN: 8, Split.VALID: 2}, "dog": {Split.TRAIN: 1}}


def test_each_class_has_its_rounded_share() -> None:
    images = pictures(cat=1000, dog=45, emu=15, owl=2)

    assert counts(images, Split.VALID, valid=0.2, seed=1) == {"cat": 200, "dog": 9, "emu": 3, "owl": 1}
    assert counts(images, Split.VALID, valid=0.3, seed=1) == {"cat": 300, "dog": 14, "emu": 5, "owl": 1}


def test_another_seed_holds_out_other_images() -> None:
    images = pictures(cat=50, dog=50)

    assert split_of(images, RandomSplit(seed=1)) != split_of(images, RandomSplit(seed=2))


@given(images_of_classes, shares, st.randoms())
def test_it_ignores_the_order_of_upload(images: list[Labelled], spec: RandomSplit, random: object) -> None:
    shuffled = sorted(images, key=lambda image: image.digest)

    assert answer(images, spec) == answer(shuffled, spec)


@given(images_of_classes, shares)
def test_every_class_with_two_images_is_learnt_and_tested(images: list[Labelled], spec: RandomSplit) -> None:
    splits = answer(images, spec)

    for label, total in Counter(image.label for image in images).items():
        found = {splits[image.digest] for image in images if image.label == label} if splits else set()
        assert not splits or total == 1 or {Split.TRAIN, Split.VALID} <= found


def test_a_single_image_of_a_class_is_learnt_from() -> None:
    images = pictures(cat=30, emu=1)

    for seed in range(20):
        assert split_of(images, RandomSplit(seed=seed))[image("emu", 0).digest] is Split.TRAIN


def test_a_larger_share_keeps_what_was_held_out() -> None:
    images = pictures(cat=200)
    small = split_of(images, RandomSplit(valid=0.1))
    large = split_of(images, RandomSplit(valid=0.3))

    assert all(large[digest] is Split.VALID for digest, split in small.items() if split is Split.VALID)


def test_it_holds_out_a_test_set_too() -> None:
    images = pictures(cat=1000)

    assert counts(images, Split.VALID, valid=0.2, test=0.1) == {"cat": 200}
    assert counts(images, Split.TEST, valid=0.2, test=0.1) == {"cat": 100}


def test_a_group_stays_on_one_side() -> None:
    images = [
        image(label, number, f"patient{number // 5}_{label}_{number}.png") for label in "ab" for number in range(100)
    ]

    splits = split_of(images, RandomSplit(group=r"patient(\d+)"))

    sides_of_group: dict[str, set[Split]] = {}
    for one in images:
        sides_of_group.setdefault(one.paths[0].split("_")[0], set()).add(splits[one.digest])
    assert all(len(sides) == 1 for sides in sides_of_group.values())
    assert set(splits.values()) == {Split.TRAIN, Split.VALID}


def test_each_image_without_a_group_is_a_group_of_its_own() -> None:
    images = [*pictures(cat=100), image("cat", 100, "cat/pair_1.jpg"), image("cat", 101, "cat/pair_2.jpg")]

    found = assign_splits(images, RandomSplit(group="/(pair)_"))

    assert found.groups == {"pair": 2}
    assert found.splits[images[100].digest] is found.splits[images[101].digest]
    assert sum(side is Split.VALID for side in found.splits.values()) == 20


def test_it_refuses_a_pattern_that_finds_no_group() -> None:
    with pytest.raises(NoGroups) as refusal:
        assign_splits(pictures(cat=10), RandomSplit(group="/(nothing)/"))

    assert "“/cat/0.jpg”" in refusal.value.advice


def test_groups_are_found_however_their_accents_are_written() -> None:
    images = [image("x", number, f"Zoe\u0301_{number}.jpg") for number in range(4)] + [image("x", 9, "other_1.jpg")]

    assert assign_splits(images, RandomSplit(group="/(Zo\u00e9)_")).groups == {"Zo\u00e9": 4}


def test_it_keeps_what_an_earlier_version_held_out() -> None:
    before = pictures(cat=20, dog=20)
    first = split_of(before, RandomSplit())

    later = split_of(pictures(cat=40, dog=21), RandomSplit(), kept=first)

    assert all(later[digest] is side for digest, side in first.items())
    assert Counter(side for side in later.values()) == {Split.TRAIN: 49, Split.VALID: 12}


def test_it_refuses_a_version_without_validation_images() -> None:
    with pytest.raises(NoValidationImages):
        split_of(pictures(cat=1, dog=1), RandomSplit())


# By folder


def folders(*paths: str) -> dict[str, Split]:
    images = [image("x", number, path) for number, path in enumerate(paths)]
    splits = split_of(images, FolderSplit())
    return {image.paths[0]: splits[image.digest] for image in images if image.digest in splits}


def test_it_splits_by_folder() -> None:
    assert folders("train/3/1.png", "valid/3/2.png", "a/test/3/3.png", "other/4.png", "valid.png") == {
        "train/3/1.png": Split.TRAIN,
        "valid/3/2.png": Split.VALID,
        "a/test/3/3.png": Split.TEST,
    }


@pytest.mark.parametrize("name", ["valid", "Validation", "val", "VALID"])
def test_it_knows_the_usual_names_of_the_validation_folder(name: str) -> None:
    assert folders("train/1.png", f"{name}/2.png")[f"{name}/2.png"] is Split.VALID


@pytest.mark.parametrize("name", ["Training", "TRAIN"])
def test_it_knows_the_usual_names_of_the_training_folder(name: str) -> None:
    assert folders(f"{name}/1.png", "val/2.png")[f"{name}/1.png"] is Split.TRAIN


def test_the_test_folder_is_held_out_where_there_is_none_for_validation() -> None:
    images = [image("x", 1, "Training/1.png"), image("x", 2, "Testing/2.png")]

    found = assign_splits(images, FolderSplit())

    assert found.splits == {images[0].digest: Split.TRAIN, images[1].digest: Split.VALID}
    assert found.test_is_valid


def test_a_folder_that_was_asked_for_wins_over_a_usual_name() -> None:
    images = [image("x", 1, "train/1.png"), image("x", 2, "Testing/2.png")]

    assert split_of(images, FolderSplit(valid="Testing"))[images[1].digest] is Split.VALID


def test_it_takes_the_names_it_is_told() -> None:
    images = [image("x", 1, "a/1.png"), image("x", 2, "b/2.png"), image("x", 3, "val/3.png")]

    splits = split_of(images, FolderSplit(train="a", valid="b"))

    assert splits == {images[0].digest: Split.TRAIN, images[1].digest: Split.VALID}


def test_a_copy_in_two_folders_is_held_out() -> None:
    images = [image("x", 1, "train/1.png", "valid/1.png"), image("x", 2, "train/2.png")]

    assert split_of(images, FolderSplit())[images[0].digest] is Split.VALID


def test_it_refuses_when_everything_is_on_one_side() -> None:
    with pytest.raises(NoValidationImages):
        folders("train/1.png", "train/2.png")
    with pytest.raises(NoTrainingImages):
        folders("valid/1.png", "valid/2.png")


# By a table's column


def by_column(*values: str, column: str = "is_valid") -> list[Split | None]:
    images = [image("x", number, f"a/{number}.png") for number in range(len(values))]
    lines = [("name", "is_valid"), *((f"{number}.png", value) for number, value in enumerate(values))]
    table = Table.of("labels.csv", lines, NameIndex.of([image.paths[0] for image in images]))
    splits = split_of(images, CsvSplit(column=column), table=table)
    return [splits.get(image.digest) for image in images]


@pytest.mark.parametrize(("held_out", "kept"), [("True", "False"), ("1", "0"), ("yes", "no"), ("valid", "TRAIN")])
def test_it_splits_by_a_column(held_out: str, kept: str) -> None:
    assert by_column(held_out, kept, "", "test") == [Split.VALID, Split.TRAIN, None, Split.TEST]


def test_it_refuses_a_value_that_is_no_side() -> None:
    with pytest.raises(InvalidSplit) as refusal:
        by_column("perhaps", "0")

    assert "perhaps" in refusal.value.message


def test_it_refuses_a_column_that_is_not_there() -> None:
    with pytest.raises(InvalidInput):
        by_column("1", "0", column="fold")


@pytest.mark.parametrize(
    "content", [{"kind": "x"}, {"kind": "random", "valid": 0}, {"kind": "random", "valid": 0.9, "test": 0.9}]
)
def test_it_refuses_what_is_no_split(content: dict[str, object]) -> None:
    with pytest.raises(InvalidSplit):
        parse_spec(content)


def answer(images: list[Labelled], spec: RandomSplit) -> dict[Digest, Split]:
    try:
        return dict(split_of(images, spec))
    except NoValidationImages:
        return {}
