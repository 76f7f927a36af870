import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors
import torch
from PIL import Image
from torch import Tensor

from backend.imaging.colour import matrix_profile
from backend.imaging.preprocessing import Preprocessing
from backend.imaging.tasks import network_view
from tests.fixtures.engine import build_tiny
from tests.fixtures.pictures import draw, encode
from worker.engine.checkpoints import checkpoint
from worker.engine.checkpoints import export as exporting
from worker.engine.checkpoints.export import export
from worker.engine.checkpoints.metadata import ModelFacts, Parity, safetensors_metadata, with_safetensors_metadata
from worker.engine.data.source import to_input
from worker.engine.errors import ExportDiffers
from worker.engine.network.architectures import Classifier, build_head

PREPROCESSING = Preprocessing(size=32, resize_to=36, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
CLASSES = ("apple", "pear", "quince")
FACTS = ModelFacts("test-tiny", CLASSES, PREPROCESSING)


def tiny_model() -> Classifier:
    torch.manual_seed(1)
    return Classifier(build_tiny(None), build_head(8, 3, last_layer_bias=False, seed=1)).eval()


def pixels(images: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (images, 32, 32, 3), dtype=np.uint8))


def test_the_file_answers_what_the_network_answers_for_any_number_of_images() -> None:
    model = tiny_model()
    session = onnxruntime.InferenceSession(export(model, FACTS, pixels(4)).onnx)

    for images in (1, 5):
        seen = pixels(images)
        (answered,) = session.run(None, {"images": (seen.permute(0, 3, 1, 2).float() / 255).numpy()})
        with torch.no_grad():
            expected = torch.softmax(model(to_input(seen, PREPROCESSING, torch.device("cpu"))), dim=1)
        assert np.abs(answered - expected.numpy()).max() < 1e-5


def test_the_proof_counts_its_images() -> None:
    parity = export(tiny_model(), FACTS, pixels(4)).parity

    assert (parity.images, parity.agreement) == (4, 1.0)
    assert parity.max_difference < 1e-5


def test_the_file_shows_what_it_needs_and_means() -> None:
    model = onnx.load_model_from_string(export(tiny_model(), FACTS, pixels(2)).onnx)

    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["task"] == "classify"
    assert properties["names"] == "{0: 'apple', 1: 'pear', 2: 'quince'}"
    assert properties["imgsz"] == "[32, 32]"
    assert json.loads(properties["classes"]) == ["apple", "pear", "quince"]
    assert properties["architecture"] == "test-tiny"
    assert json.loads(properties["parity"])["images"] == 2
    preprocessing = json.loads(properties["preprocessing"])
    assert preprocessing["resize_to"] == 36
    assert preprocessing["input"] == {"name": "images", "layout": "NCHW", "shape": ["N", 3, 32, 32], "dtype": "float32"}
    assert preprocessing["range"] == [0.0, 1.0]
    assert (preprocessing["normalised_by_model"], preprocessing["inside_model"]["softmax"]) == (True, True)
    assert not preprocessing.keys() & {"mean", "std"}, "who finds them would normalise twice"
    assert "Do not subtract a mean" in model.doc_string
    assert [entry.version for entry in model.opset_import] == [17]
    assert [node.name for node in model.graph.input] == ["images"]
    assert [node.name for node in model.graph.output] == ["probabilities"]


def test_exporting_twice_gives_the_same_bytes() -> None:
    model = tiny_model()

    first = export(model, FACTS, pixels(2))

    assert export(model, FACTS, pixels(2)).onnx == first.onnx


def test_a_file_that_answers_differently_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "ALLOWED_DIFFERENCE", -1.0)

    with pytest.raises(ExportDiffers):
        export(tiny_model(), FACTS, pixels(2))


READER = Path(__file__).with_name("reader_of_exports.py")


def rotated_photo() -> bytes:
    """A JPEG large enough to be read smaller, held sideways."""
    image = draw("circle", 1, 640).resize((640, 480))
    exif = image.getexif()
    exif[0x0112] = 6
    return encode(image, "JPEG", quality=90, exif=exif.tobytes())


def wide_gamut() -> bytes:
    """A photo of a phone: its numbers mean the colours of Display P3."""
    profile = matrix_profile((0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06), 2.2)
    return encode(draw("square", 3, 60), "PNG", icc_profile=profile)


def deep_grey() -> bytes:
    """A scan of 16 bits a pixel."""
    return encode(Image.fromarray(np.arange(60 * 50, dtype=np.uint16).reshape(60, 50) * 20), "PNG")


def see_through() -> bytes:
    image = draw("cross", 2, 60).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return encode(image)


PICTURES: dict[str, Callable[[], bytes]] = {
    "rotated large JPEG": rotated_photo,
    "transparent PNG": see_through,
    "Display P3": wide_gamut,
    "16-bit grey": deep_grey,
    "grey": lambda: encode(draw("square", 3, 50).convert("L")),
    "long strip": lambda: encode(draw("circle", 4, 48).resize((600, 20))),
}


def test_the_file_alone_is_enough_to_get_the_answers_of_the_product(tmp_path: Path) -> None:
    model, files = tiny_model(), {name: make() for name, make in PICTURES.items()}
    (tmp_path / "model.onnx").write_bytes(export(model, FACTS, pixels(4)).onnx)
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    # A process of its own that knows the file, onnxruntime and Pillow, and nothing of ours.
    command = [
        sys.executable,
        "-I",
        str(READER),
        str(tmp_path / "model.onnx"),
        *(str(tmp_path / name) for name in files),
    ]
    reported = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    views = torch.from_numpy(np.stack([network_view(content, PREPROCESSING) for content in files.values()]))
    with torch.no_grad():
        expected = torch.softmax(model(to_input(views, PREPROCESSING, torch.device("cpu"))), dim=1)
    assert [answer["class"] for answer in reported] == [CLASSES[int(row.argmax())] for row in expected]
    found = np.array([answer["probabilities"] for answer in reported])
    assert np.abs(found - expected.numpy()).max() < 1e-5


def test_the_weights_file_shows_what_its_network_needs(tmp_path: Path) -> None:
    content = checkpoint.weights_of(tiny_model())
    head = {"features": 16, "width": 512, "classes": 3, "last_layer_bias": False}
    metadata = safetensors_metadata(FACTS, head, Parity(1e-7, 1.0, 4))

    (tmp_path / "weights.safetensors").write_bytes(with_safetensors_metadata(content, metadata))

    with safetensors.safe_open(tmp_path / "weights.safetensors", framework="pt") as opened:
        reported, tensors = opened.metadata(), {name: opened.get_tensor(name) for name in tiny_model().state_dict()}
    assert reported["architecture"] == "test-tiny"
    assert json.loads(reported["classes"]) == ["apple", "pear", "quince"]
    assert json.loads(reported["head"]) == head
    assert json.loads(reported["parity"]) == {"max_difference": 1e-7, "agreement": 1.0, "images": 4}
    preprocessing = json.loads(reported["preprocessing"])
    assert (preprocessing["normalised_by_model"], preprocessing["std"]) == (False, [0.2, 0.25, 0.3])
    expected = tiny_model().state_dict()
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], expected[name]) for name in expected)


def test_equal_weights_give_equal_weights_files() -> None:
    metadata = safetensors_metadata(FACTS, {"classes": 3}, Parity(0.0, 1.0, 4))

    files = {with_safetensors_metadata(checkpoint.weights_of(tiny_model()), metadata) for _ in range(3)}

    assert len(files) == 1
