"""Answers as the engine wrote them."""

from pathlib import Path

import pytest

from backend.domain.ids import ImageId
from backend.domain.manifest import Split
from backend.prediction.stored_answers import stored_answers
from tests.backend.interpretation.conftest import evaluation_of
from worker.engine.checkpoints.checkpoint import write_predictions

IMAGES = tuple("abcdef")


@pytest.mark.parametrize("split", [Split.VALID, Split.TEST])
def test_every_class_has_its_probability_the_likeliest_first(tmp_path: Path, split: Split) -> None:
    write_predictions(tmp_path, split, evaluation_of(IMAGES))

    found = stored_answers(tmp_path, split, ImageId("d"))

    assert list(found) == ["dog", "cat", "owl"]
    assert found == pytest.approx({"dog": 0.6, "cat": 0.3, "owl": 0.1})


def test_a_picture_that_was_not_tested_has_none(tmp_path: Path) -> None:
    write_predictions(tmp_path, "valid", evaluation_of(IMAGES))

    assert stored_answers(tmp_path, Split.VALID, ImageId("z")) == {}
    assert stored_answers(tmp_path, Split.TEST, ImageId("a")) == {}


def test_a_damaged_file_has_none(tmp_path: Path) -> None:
    write_predictions(tmp_path, "valid", evaluation_of(IMAGES))
    (tmp_path / "predictions.safetensors").write_bytes(b"not what was written")

    assert stored_answers(tmp_path, Split.VALID, ImageId("a")) == {}
