"""The web process answers as the engine does, with the real pretrained network."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from backend.domain.architectures import ARCHITECTURES
from backend.domain.confidence.settings import ConfidenceSettings
from backend.domain.confidence.strangeness import NearestPictures, unit_rows
from backend.domain.training import TrainingRequest, resolve
from backend.imaging.decoding import decode
from backend.imaging.pool import decoding_pool
from backend.imaging.preprocessing import Pixels, evaluation_view
from backend.prediction.models import Model, ModelCache, ModelSource
from backend.prediction.service import Answer, predict
from backend.training.confidence.files import onnx_with
from tests.fixtures.pictures import CLASSES, draw, encode
from worker.engine.checkpoints.export import export
from worker.engine.checkpoints.metadata import ModelFacts
from worker.engine.data.source import preprocessing_of, to_input
from worker.engine.network.architectures import build
from worker.engine.network.weights import load
from worker.engine.order import NeverStop

pytestmark = pytest.mark.weights


def test_a_picture_gets_the_probabilities_that_the_engine_gives_it(tmp_path: Path) -> None:
    config = resolve(TrainingRequest(image_size=96))
    architecture = ARCHITECTURES[config.architecture]
    pretrained = load(architecture, architecture.weights[0], tmp_path, on_event=lambda event: None, stop=NeverStop())
    model = build(config.architecture, 3, last_layer_bias=False, seed=1, pretrained=pretrained).eval()
    preprocessing = preprocessing_of(config)
    contents = [encode(draw(shape, 1, size=130), "PNG") for shape in CLASSES]
    pixels = torch.stack([torch.from_numpy(evaluation_view(decode(content)[1], preprocessing)) for content in contents])
    (tmp_path / "model.onnx").write_bytes(
        export(model, ModelFacts(config.architecture, CLASSES, preprocessing), pixels).onnx
    )
    with torch.no_grad():
        expected = torch.softmax(model(to_input(pixels, preprocessing, torch.device("cpu"))), dim=1)

    source = ModelSource("c" * 32, "0" * 64, tmp_path, CLASSES, preprocessing)
    found = predict(
        ModelCache(),
        decoding_pool(),
        source,
        [(shape, content) for shape, content in zip(CLASSES, contents, strict=True)],
    )

    _answers_with_settings(
        tmp_path / "model.onnx", [evaluation_view(decode(one)[1], preprocessing) for one in contents]
    )
    for answer, row in zip(found.items, expected.tolist(), strict=True):
        assert isinstance(answer, Answer)
        assert answer.probabilities == pytest.approx(dict(zip(CLASSES, row, strict=True)), abs=1e-4)


def _answers_with_settings(file: Path, views: list[Pixels]) -> None:
    """The exported file gives its features, and with settings it computes temperature and strangeness from them."""
    content = file.read_bytes()
    plain, features = Model(content, threads=1).probabilities_and_features(views)
    measure = NearestPictures(unit_rows(features))
    settings = ConfidenceSettings(temperature=1.5, familiar_refused=0.05, strangeness_limit=0.5)

    images = np.ascontiguousarray(np.stack(views).astype(np.float32).transpose(0, 3, 1, 2) / np.float32(255))
    session = onnxruntime.InferenceSession(onnx_with(content, settings, measure))
    probabilities, strangeness = session.run(None, {"images": images})

    assert probabilities == pytest.approx(settings.calibrated(plain), abs=1e-5)
    assert strangeness == pytest.approx(measure.of(features), abs=1e-5)
