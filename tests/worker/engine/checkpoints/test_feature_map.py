"""The exported file holds the last feature map, from which the web process divides a score as torch's gradient does."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from backend.domain.attribution import FEATURE_MAP, Head, attribution
from backend.imaging.preprocessing import Preprocessing
from backend.prediction.models import Model
from tests.fixtures.timm_networks import CONVOLUTIONAL, TRANSFORMER, drawn
from worker.engine.checkpoints.export import export
from worker.engine.checkpoints.metadata import ModelFacts
from worker.engine.data.source import to_input
from worker.engine.network.architectures import Classifier, build

CLASSES = ("apple", "pear", "quince", "plum")
TARGET = 2


def preprocessing(size: int) -> Preprocessing:
    return Preprocessing(size=size, resize_to=size, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))


def network(architecture: str) -> Classifier:
    """Drawn weights, and statistics of batch norm as if it had learnt."""
    model = build(architecture, len(CLASSES), last_layer_bias=True, seed=3).eval()
    torch.manual_seed(5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return model


def exported(model: Classifier, architecture: str, pixels: Tensor) -> bytes:
    facts = ModelFacts(architecture, CLASSES, preprocessing(pixels.shape[1]))
    return export(model, facts, pixels).onnx


def views(size: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(2).integers(0, 256, (2, size, size, 3), dtype=np.uint8))


@pytest.mark.parametrize("architecture", ["resnet18", "efficientnet-lite0"])
def test_a_score_is_divided_as_torchs_gradient_divides_it(architecture: str) -> None:
    model, pixels = network(architecture), views(96)
    loaded = Model(exported(model, architecture, pixels), threads=1)

    feature_map = loaded.feature_map(pixels[0].numpy())
    head = Head.of({f"head.{name}": tensor.numpy() for name, tensor in model.head.state_dict().items()})
    found = attribution(feature_map, head, TARGET)

    with torch.no_grad():
        map_of_torch = model.backbone(to_input(pixels[:1], preprocessing(96), torch.device("cpu")))[0].numpy()
    assert feature_map.shape == map_of_torch.shape
    assert np.abs(feature_map - map_of_torch).max() < 1e-3
    # Of the same map: which of two nearly equal maxima is the larger one may be a matter of rounding.
    given = torch.from_numpy(feature_map)[None].requires_grad_()
    logits = model.head(model.pool(given))[0]
    (logits[TARGET] - logits.mean()).backward()
    assert given.grad is not None
    expected = (given * given.grad)[0].sum(dim=0).detach().numpy()
    assert np.abs(expected).max() > 0.01
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_the_file_itself_has_one_output_and_the_same_answers() -> None:
    model, pixels = network("efficientnet-lite0"), views(64)
    content = exported(model, "efficientnet-lite0", pixels)

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (plain,) = session.run(None, {"images": (pixels.permute(0, 3, 1, 2).float() / 255).numpy()})

    assert [output.name for output in session.get_outputs()] == ["probabilities"]
    assert np.abs(Model(content, threads=1).probabilities([*pixels.numpy()]) - plain).max() < 1e-6


def test_a_convolutional_network_of_timm_has_its_map_too(tmp_path: Path) -> None:
    entry = drawn(CONVOLUTIONAL, tmp_path)
    pixels = views(160)

    loaded = Model(exported(network(entry.name), entry.name, pixels), threads=1)

    assert loaded.feature_map(pixels[0].numpy()).shape == (entry.features, 5, 5)


def test_a_transformers_tokens_are_no_map(tmp_path: Path) -> None:
    entry = drawn(TRANSFORMER, tmp_path)

    content = exported(network(entry.name), entry.name, views(160))

    assert FEATURE_MAP.encode() not in content
    assert not Model(content, threads=1).has_feature_map
