from pathlib import Path

import pytest
import torch
from torch import nn

from backend.domain.architectures import ARCHITECTURES
from worker.engine.architectures import BUILDERS, ConcatPool, build, build_head
from worker.engine.order import NeverStop
from worker.engine.weights import load


def test_the_head_is_the_courses() -> None:
    head = build_head(512, 37, last_layer_bias=False, seed=1)

    assert [type(layer).__name__ for layer in head] == [
        "BatchNorm1d", "Dropout", "Linear", "ReLU", "BatchNorm1d", "Dropout", "Linear",
    ]  # fmt: skip
    assert [layer.p for layer in head if isinstance(layer, nn.Dropout)] == [0.25, 0.5]
    linear = [layer for layer in head if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(1024, 512), (512, 37)]
    assert [layer.bias is None for layer in linear] == [True, True]


def test_the_first_courses_head_has_a_bias_in_its_last_layer() -> None:
    head = build_head(8, 3, last_layer_bias=True, seed=1)

    assert torch.equal(head.get_parameter("6.bias"), torch.zeros(3))


def test_batch_norm_of_the_head_starts_as_in_fastai() -> None:
    head = build_head(8, 3, last_layer_bias=False, seed=1)

    assert torch.equal(head.get_parameter("0.weight"), torch.ones(16))
    assert torch.equal(head.get_parameter("0.bias"), torch.full((16,), 1e-3))


def test_linear_layers_start_with_the_spread_of_kaiming() -> None:
    head = build_head(512, 100, last_layer_bias=False, seed=1)

    # sqrt(2 / inputs)
    assert float(head.get_parameter("2.weight").detach().std()) == pytest.approx(0.0442, rel=0.02)
    assert float(head.get_parameter("6.weight").detach().std()) == pytest.approx(0.0625, rel=0.02)


def test_one_seed_gives_one_head_whatever_was_drawn_before() -> None:
    first = build_head(8, 3, last_layer_bias=False, seed=1)
    torch.rand(5)

    assert torch.equal(
        build_head(8, 3, last_layer_bias=False, seed=1).get_parameter("2.weight"), first.get_parameter("2.weight")
    )
    assert not torch.equal(
        build_head(8, 3, last_layer_bias=False, seed=2).get_parameter("2.weight"), first.get_parameter("2.weight")
    )


def test_it_pools_the_maximum_first_and_then_the_average() -> None:
    features = torch.tensor([[[[1.0, 3.0], [0.0, 0.0]]]])

    assert ConcatPool()(features).tolist() == [[3.0, 1.0]]


@pytest.mark.parametrize("name", ["resnet18", "efficientnet-lite0"])
def test_a_network_has_the_layer_groups_and_features_of_the_catalogue(name: str) -> None:
    model = build(name, 5, last_layer_bias=False, seed=1).eval()

    with torch.no_grad():
        features = model.backbone(torch.zeros(1, 3, 32, 32))
        logits = model(torch.zeros(2, 3, 32, 32))

    assert features.shape[1] == ARCHITECTURES[name].features
    assert len(model.layer_groups()) == ARCHITECTURES[name].layer_groups
    assert logits.shape == (2, 5)


def test_a_residual_network_is_cut_after_its_second_layer() -> None:
    model = build("resnet18", 5, last_layer_bias=False, seed=1)

    low, high = model.backbone.children()

    assert len(list(low.children())) == 6
    assert len(list(high.children())) == 2


def test_every_architecture_of_the_catalogue_can_be_built() -> None:
    assert set(BUILDERS) == set(ARCHITECTURES)


@pytest.mark.weights
def test_the_package_carries_weights_that_fit(tmp_path: Path) -> None:
    entry = ARCHITECTURES["efficientnet-lite0"]
    pretrained = load(entry, entry.weights[0], tmp_path, on_event=lambda event: None, stop=NeverStop())

    model = build(entry.name, 5, last_layer_bias=False, seed=1, pretrained=pretrained)

    assert len(pretrained) == 296
    first = next(iter(pretrained.values()))
    assert torch.equal(next(model.backbone.parameters()), first)
