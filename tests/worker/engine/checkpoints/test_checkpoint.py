import json
from pathlib import Path

import pytest

from backend.imaging.preprocessing import Preprocessing
from tests.fixtures.engine import Listener, frozen, order_in, tiny_config
from worker.engine.checkpoints import checkpoint
from worker.engine.checkpoints.checkpoint import read, read_predictions
from worker.engine.errors import CheckpointUnusable
from worker.engine.recipe import train

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def folder(tiny: object, tmp_path: Path, weights_folder: Path) -> Path:
    result = train(order_in(tmp_path, weights_folder, tiny_config(frozen(1))), on_event=Listener())
    return result.best.folder


def test_a_checkpoint_holds_all_that_prediction_needs(folder: Path) -> None:
    content = json.loads((folder / "checkpoint.json").read_text())

    assert {file.name for file in folder.iterdir()} == {
        "checkpoint.json",
        "model.onnx",
        "parity.json",
        "predictions.json",
        "predictions.safetensors",
        "weights.safetensors",
    }
    assert (content["format"], content["architecture"]) == (1, "test-tiny")
    assert content["classes"] == ["circle", "cross", "square"]
    assert content["head"] == {"classes": 3, "features": 16, "last_layer_bias": False, "width": 512}
    assert content["metrics"]["valid"]["images"] == 6
    assert Preprocessing.from_json(content["preprocessing"]).size == 32


def test_it_can_be_read_back(folder: Path) -> None:
    found = read(folder)

    assert found.classes == ("circle", "cross", "square")
    assert found.weights["head.6.weight"].shape == (3, 512)
    assert found.parity.images == 6


def test_predictions_are_probabilities_with_their_images(folder: Path) -> None:
    evaluation = read_predictions(folder)

    assert evaluation.probabilities.sum(axis=1) == pytest.approx([1.0] * 6)
    assert sorted(evaluation.image_ids)[:2] == ["circle-6", "circle-7"]
    assert {name.split("-")[0] for name in evaluation.image_ids} == {"circle", "cross", "square"}


@pytest.mark.parametrize("damage", ["weights", "json", "missing", "format"])
def test_a_damaged_checkpoint_is_refused(damage: str, folder: Path) -> None:
    description = folder / "checkpoint.json"
    match damage:
        case "weights":
            (folder / "weights.safetensors").write_bytes(b"half")
        case "json":
            description.write_text("{")
        case "missing":
            (folder / "parity.json").unlink()
        case _:
            description.write_text(json.dumps({**json.loads(description.read_text()), "format": 99}))

    with pytest.raises(CheckpointUnusable):
        read(folder)


def test_a_checkpoint_is_whole_or_absent(tmp_path: Path, weights_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(folder: Path, name: str, evaluation: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint, "write_predictions", full_disk)

    with pytest.raises(OSError, match="no space"):
        train(order_in(tmp_path, weights_folder, tiny_config(frozen(1))), on_event=Listener())

    assert list((tmp_path / "output").iterdir()) == []
