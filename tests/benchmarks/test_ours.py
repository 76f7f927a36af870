from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.domain.manifest import Split
from benchmarks.ours import error_rate_of, measure, read_lists
from tests.fixtures.engine import frozen, plain_config, tiny_registered, unfrozen
from tests.fixtures.pictures import CLASSES, draw, encode

Lists = dict[str, list[tuple[str, str]]]


@pytest.fixture
def weights_folder(tmp_path: Path) -> Iterator[Path]:
    """Weights of the tiny network, which is in the catalogue as long as the test lasts."""
    with tiny_registered(tmp_path / "weights"):
        yield tmp_path / "weights"


@pytest.fixture
def lists(tmp_path: Path) -> Lists:
    """Drawn pictures of each class on the disk: six for training, two for validation and two for the test."""
    found: Lists = {"train": [], "valid": [], "test": []}
    for shape in CLASSES:
        for number in range(10):
            file = tmp_path / f"{shape}-{number}.png"
            file.write_bytes(encode(draw(shape, number)))
            split = "train" if number < 6 else "valid" if number < 8 else "test"
            found[split].append((str(file), shape))
    return found


def job(tmp_path: Path, weights_folder: Path, lists: Lists) -> dict[str, Any]:  # Any: JSON values
    return {
        **lists,
        "config": plain_config(frozen(2), unfrozen(1)).model_dump(mode="json"),
        "weights": {"kind": "imagenet", "folder": str(weights_folder)},
        "work": str(tmp_path / "work"),
        "cache": str(tmp_path / "cache"),
    }


def test_a_training_reports_every_epoch_and_the_test_error_of_the_chosen_model(
    tmp_path: Path, weights_folder: Path, lists: Lists
) -> None:
    answer = measure(job(tmp_path, weights_folder, lists))

    assert [epoch["stage"] for epoch in answer["epochs"]] == [0, 0, 1]
    assert (answer["train_images"], answer["valid_images"]) == (18, 6)
    assert answer["error_rate"] in [stage[-1] for stage in answer["errors"]]
    assert answer["test_error_rate"] in [wrong / 6 for wrong in range(7)]
    assert 0 < answer["processor_seconds"] == answer["epochs"][-1]["processor_seconds"]
    assert answer["seconds_total"] >= answer["seconds"] == answer["epochs"][-1]["seconds"]


def test_without_test_images_there_is_no_test_error(tmp_path: Path, weights_folder: Path, lists: Lists) -> None:
    answer = measure(job(tmp_path, weights_folder, {**lists, "test": []}))

    assert "test_error_rate" not in answer


def test_the_exported_model_errs_as_the_trained_one_did(tmp_path: Path, weights_folder: Path, lists: Lists) -> None:
    answer = measure(job(tmp_path, weights_folder, lists))

    errors = [error_rate_of(tmp_path / f"work/output/stage-{stage}", lists["valid"]) for stage in (0, 1)]
    assert min(errors) == answer["error_rate"]


def test_lists_become_a_manifest_in_the_order_of_the_digests(lists: Lists) -> None:
    manifest, open_bytes = read_lists({Split.TRAIN: lists["train"], Split.VALID: lists["valid"]})

    digests = [image.digest for image in manifest.images]
    assert digests == sorted(digests)
    assert (manifest.classes, len(manifest.of(Split.TRAIN)), len(manifest.of(Split.VALID))) == (CLASSES, 18, 6)
    one = manifest.images[0]
    assert open_bytes(one.digest) in [Path(file).read_bytes() for file, label in lists["train"] + lists["valid"]]
