from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.fixtures.pictures import draw, encode, folder_of_shapes
from worker.engine.__main__ import app


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for path, content in folder_of_shapes(8).items():
        file = tmp_path / "photos" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path / "photos"


@pytest.mark.weights
def test_it_trains_on_a_folder_and_prints_the_courses_table(photos: Path, tmp_path: Path) -> None:
    (photos / "loose.png").write_bytes(encode(draw("circle", 99)))
    (photos / "shapes" / "cross" / "copy.png").write_bytes(encode(draw("circle", 0)))

    result = CliRunner().invoke(
        app,
        ["train", str(photos), "--epochs", "2", "--image-size", "32", "--output", str(tmp_path / "out")],
    )

    assert result.exit_code == 0, result.output
    assert "epoch  train_loss  valid_loss  error_rate   time" in result.output
    assert "1 images without a label" in result.output
    assert "2 images with a copy of another label" in result.output
    assert "Prediction for" in result.output
    assert (tmp_path / "out" / "stage-0" / "model.onnx").is_file()


def test_a_pattern_that_is_none_is_explained(photos: Path) -> None:
    result = CliRunner().invoke(app, ["train", str(photos), "--pattern", "(("])

    assert result.exit_code == 1
    assert "Traceback" not in result.output
