"""Model files with what was chosen about confidence: they answer as the formulas say."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.numpy
from safetensors import safe_open

from backend.domain.confidence.settings import ConfidenceSettings
from backend.domain.confidence.strangeness import ClassDistances, LabelledFeatures, Measure, NearestPictures
from backend.domain.confidence.strangeness import familiarity_of as learn
from backend.training.confidence.files import onnx_with, safetensors_with
from tests.fixtures.colour_model import write_colour_model

WEIGHTS = 4 * np.eye(3, dtype=np.float32)


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    """A model of three colours: logits are four times the mean of each."""
    write_colour_model(tmp_path, WEIGHTS)
    return (tmp_path / "model.onnx").read_bytes()


def pictures(count: int = 5, seed: int = 1) -> np.ndarray:
    """(N, 3, 16, 16) in [0, 1], each of one colour."""
    colours = np.random.default_rng(seed).random((count, 3, 1, 1))
    return np.broadcast_to(colours, (count, 3, 16, 16)).astype(np.float32)


def ask(content: bytes, images: np.ndarray) -> list[np.ndarray]:
    found: list[np.ndarray] = onnxruntime.InferenceSession(content).run(None, {"images": images})
    return found


def measure(each: int) -> Measure:
    random = np.random.default_rng(2)
    labels = np.repeat(np.arange(3), each)
    values = (np.eye(3)[labels] + 0.2 * random.random((3 * each, 3))).astype(np.float32)
    return learn(LabelledFeatures(values, labels), LabelledFeatures(values, labels)).measure


def test_the_answers_have_the_temperature(content: bytes) -> None:
    images = np.zeros((1, 3, 16, 16), np.float32)
    images[0, 0] = 1  # logits 4, 0, 0

    (found,) = ask(onnx_with(content, ConfidenceSettings(temperature=2.0), None), images)

    # e^2 / (e^2 + 2) and 1 / (e^2 + 2)
    assert found[0] == pytest.approx([0.786986, 0.106507, 0.106507], abs=1e-6)


def test_without_a_temperature_the_answers_stay_as_they_are(content: bytes) -> None:
    images = pictures()

    written = ask(onnx_with(content, ConfidenceSettings(threshold=0.9), None), images)

    assert len(written) == 1
    assert written[0].tolist() == ask(content, images)[0].tolist()


@pytest.mark.parametrize(("each", "kind"), [(20, ClassDistances), (4, NearestPictures)])
def test_strangeness_is_a_second_output(content: bytes, each: int, kind: type[Measure]) -> None:
    measured_by, images = measure(each), pictures(7)
    assert isinstance(measured_by, kind)
    settings = ConfidenceSettings(temperature=1.5, familiar_refused=0.05, strangeness_limit=1.0)

    probabilities, strangeness = ask(onnx_with(content, settings, measured_by), images)

    assert probabilities.shape == (7, 3)
    # The model's features are the mean colours.
    assert strangeness == pytest.approx(measured_by.of(images[:, :, 0, 0]), rel=1e-3, abs=1e-4)


def test_the_file_is_sound_and_describes_what_was_chosen(content: bytes) -> None:
    settings = ConfidenceSettings(1.5, 0.9, {"red": 0.95}, 0.05, 1.25)

    model = onnx.load_model_from_string(onnx_with(content, settings, measure(20), {"images": 16, "agreement": 1.0}))

    onnx.checker.check_model(model, full_check=True)
    known = {line.key: line.value for line in model.metadata_props}
    assert json.loads(known["confidence"]) == settings.to_json()
    assert json.loads(known["confidence_parity"]) == {"images": 16, "agreement": 1.0}
    assert json.loads(known["usage"]) == [
        "“probabilities” already has the temperature 1.5; do not apply it again.",
        "The second output “strangeness” is (N,): where it is above 1.25, the picture is like nothing that the "
        "model was shown, whatever the probabilities are.",
        "Answer only where the largest probability is at least 0.9 (“red”: 0.95); otherwise say that the model isn't "
        "sure.",
    ]


def test_metadata_that_was_there_is_kept_and_the_usage_goes_on(content: bytes) -> None:
    model = onnx.load_model_from_string(content)
    onnx.helper.set_model_props(model, {"classes": '["a"]', "usage": '["Scale it."]'})
    model.doc_string = "Scale it."

    again = onnx.load_model_from_string(onnx_with(model.SerializeToString(), ConfidenceSettings(temperature=2.0), None))

    known = [(line.key, line.value) for line in again.metadata_props]
    assert ("classes", '["a"]') in known
    assert [key for key, _ in known] == ["classes", "confidence", "usage"]
    assert again.doc_string.splitlines() == [
        "Scale it.",
        "“probabilities” already has the temperature 2; do not apply it again.",
    ]


def test_weights_keep_their_tensors_and_say_what_was_chosen(tmp_path: Path) -> None:
    tensors = {"head.6.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
    before = safetensors.numpy.save(tensors, {"usage": '["Softmax."]', "format": "pt"})

    after = safetensors_with(before, ConfidenceSettings(1.5, 0.9, {}, 0.05, 1.25))

    assert safetensors.numpy.load(after)["head.6.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    (tmp_path / "w.safetensors").write_bytes(after)
    with safe_open(tmp_path / "w.safetensors", framework="numpy") as file:
        known = file.metadata()
    assert known["format"] == "pt"
    assert json.loads(known["confidence"])["temperature"] == 1.5
    assert json.loads(known["usage"]) == [
        "Softmax.",
        "Divide the logits by the temperature 1.5 before the softmax.",
        "How strange a picture is can't be computed from this file; the ONNX file has it as an output.",
        "Answer only where the largest probability is at least 0.9; otherwise say that the model isn't sure.",
    ]
