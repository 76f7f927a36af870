import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from backend.imaging.preprocessing import Preprocessing
from tests.fixtures.engine import build_tiny
from worker.engine.checkpoints import export as exporting
from worker.engine.checkpoints.export import export
from worker.engine.data.source import to_input
from worker.engine.errors import ExportDiffers
from worker.engine.network.architectures import Classifier, build_head

PREPROCESSING = Preprocessing(size=32, resize_to=36, mean=(0.5, 0.4, 0.3), deviation=(0.2, 0.25, 0.3))
CLASSES = ("apple", "pear", "quince")


def tiny_model() -> Classifier:
    torch.manual_seed(1)
    return Classifier(build_tiny(None), build_head(8, 3, last_layer_bias=False, seed=1)).eval()


def pixels(images: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (images, 32, 32, 3), dtype=np.uint8))


def test_the_file_answers_what_the_network_answers_for_any_number_of_images() -> None:
    model = tiny_model()
    session = onnxruntime.InferenceSession(export(model, PREPROCESSING, CLASSES, pixels(4)).onnx)

    for images in (1, 5):
        seen = pixels(images)
        (answered,) = session.run(None, {"images": (seen.permute(0, 3, 1, 2).float() / 255).numpy()})
        with torch.no_grad():
            expected = torch.softmax(model(to_input(seen, PREPROCESSING, torch.device("cpu"))), dim=1)
        assert np.abs(answered - expected.numpy()).max() < 1e-5


def test_the_proof_counts_its_images() -> None:
    parity = export(tiny_model(), PREPROCESSING, CLASSES, pixels(4)).parity

    assert (parity.images, parity.agreement) == (4, 1.0)
    assert parity.max_difference < 1e-5


def test_the_file_says_what_it_needs_and_means() -> None:
    model = onnx.load_model_from_string(export(tiny_model(), PREPROCESSING, CLASSES, pixels(2)).onnx)

    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["task"] == "classify"
    assert properties["names"] == "{0: 'apple', 1: 'pear', 2: 'quince'}"
    assert properties["imgsz"] == "[32, 32]"
    assert json.loads(properties["classes"]) == ["apple", "pear", "quince"]
    assert json.loads(properties["preprocessing"])["resize_to"] == 36
    assert [entry.version for entry in model.opset_import] == [17]
    assert [node.name for node in model.graph.input] == ["images"]
    assert [node.name for node in model.graph.output] == ["probabilities"]


def test_exporting_twice_gives_the_same_bytes() -> None:
    model = tiny_model()

    first = export(model, PREPROCESSING, CLASSES, pixels(2))

    assert export(model, PREPROCESSING, CLASSES, pixels(2)).onnx == first.onnx


def test_a_file_that_answers_differently_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "ALLOWED_DIFFERENCE", -1.0)

    with pytest.raises(ExportDiffers):
        export(tiny_model(), PREPROCESSING, CLASSES, pixels(2))
