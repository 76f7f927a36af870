import shutil
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from backend.domain.ids import Digest
from backend.domain.images import LabelledImage, NamedImage
from backend.domain.manifest import Split
from benchmarks import sets
from benchmarks.sets import DIGITS, assigned, prepare


def images(count: int, label: str) -> list[LabelledImage]:
    return [NamedImage(Digest(f"{label}{number:03}"), label, (f"{label}/{number}.png",)) for number in range(count)]


CLASSES = [*images(50, "ant"), *images(20, "bee")]


def counts(splits: dict[Digest, Split]) -> dict[tuple[Split, str], int]:
    return Counter((split, digest[:3]) for digest, split in splits.items())


def test_every_class_is_tested_on_a_fifth_and_validated_on_a_fifth_of_the_rest() -> None:
    assert counts(assigned(CLASSES, seed=1)) == {
        (Split.TEST, "ant"): 10,
        (Split.VALID, "ant"): 8,
        (Split.TRAIN, "ant"): 32,
        (Split.TEST, "bee"): 4,
        (Split.VALID, "bee"): 3,
        (Split.TRAIN, "bee"): 13,
    }


def test_a_seed_always_gives_the_same_split_and_another_seed_another() -> None:
    assert assigned(CLASSES[::-1], seed=1) == assigned(CLASSES, seed=1)
    assert assigned(CLASSES, seed=2) != assigned(CLASSES, seed=1)


def test_a_set_that_is_cut_is_tested_on_all_others() -> None:
    found = assigned(CLASSES, seed=1, size=35)

    assert counts(found) == {
        (Split.TEST, "ant"): 25,
        (Split.VALID, "ant"): 5,
        (Split.TRAIN, "ant"): 20,
        (Split.TEST, "bee"): 10,
        (Split.VALID, "bee"): 2,
        (Split.TRAIN, "bee"): 8,
    }


def test_of_very_many_others_only_some_are_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sets, "MOST_TESTED", 7)

    assert Counter(assigned(CLASSES, seed=1, size=35).values()) == {Split.TRAIN: 28, Split.VALID: 7, Split.TEST: 7}


def draw(file: Path, colour: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), colour).save(file)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for number in range(10):
        draw(tmp_path / f"source/ant/pictures/{number}.jpg", number)
        draw(tmp_path / f"source/bee/pictures/{number}.jpg", 100 + number)
        draw(tmp_path / f"source/bee/pictures/{number}.png", 200 + number)
    return Path(shutil.make_archive(str(tmp_path / "insects"), "zip", tmp_path / "source"))


def test_an_archive_is_extracted_once_and_its_pictures_are_labelled_by_a_pattern(archive: Path, tmp_path: Path) -> None:
    pattern = r"/([^/]+)/[^/]+/[^/]+\.jpg$"

    first = prepare(archive, tmp_path / "cache", pattern=pattern)
    times = [file.stat().st_mtime_ns for file in first.folder.rglob("*")]
    second = prepare(archive, tmp_path / "cache", pattern=pattern)

    assert (first.name, first.classes, len(first.images)) == ("insects", ("ant", "bee"), 20)
    assert (second.folder, second.fingerprint) == (first.folder, first.fingerprint)
    assert [file.stat().st_mtime_ns for file in second.folder.rglob("*")] == times


def test_a_folder_stays_where_it_is_and_the_last_folder_is_the_label(archive: Path, tmp_path: Path) -> None:
    found = prepare(tmp_path / "source", tmp_path / "cache", name="mine")

    assert (found.name, found.folder, found.classes) == ("mine", tmp_path / "source", ("pictures",))


def test_lists_name_files_and_labels_of_every_split(archive: Path, tmp_path: Path) -> None:
    found = prepare(archive, tmp_path / "cache", pattern=r"/([^/]+)/[^/]+/[^/]+\.jpg$").lists(seed=1)

    assert {split: len(files) for split, files in found.items()} == {Split.TRAIN: 12, Split.VALID: 4, Split.TEST: 4}
    assert {(Path(file).parts[-3], label) for file, label in found[Split.TEST]} == {("ant", "ant"), ("bee", "bee")}
    assert all(Path(file).is_file() for files in found.values() for file, _ in files)


def test_digits_are_drawn_into_a_folder_for_each_class(tmp_path: Path) -> None:
    found = prepare(DIGITS, tmp_path)

    assert (found.name, len(found.images), found.classes) == ("digits", 1797, tuple("0123456789"))
    with Image.open(found.folder / "0/0000.png") as drawn:
        assert drawn.size == (8, 8)


def test_other_pictures_or_another_size_are_another_set(archive: Path, tmp_path: Path) -> None:
    pattern = r"/([^/]+)/[^/]+/[^/]+\.jpg$"
    fingerprints = {
        prepare(archive, tmp_path, pattern=pattern).fingerprint,
        prepare(archive, tmp_path, pattern=pattern, size=10).fingerprint,
        prepare(archive, tmp_path, pattern=r"/([^/]+)/[^/]+/[^/]+\.png$").fingerprint,
    }

    assert len(fingerprints) == 3
