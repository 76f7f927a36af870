from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from backend.domain.architectures import ARCHITECTURES
from tests.fixtures.fastai import figures
from worker.engine.network.architectures import BUILDERS, ConcatPool, build, build_head
from worker.engine.network.weights import load
from worker.engine.order import NeverStop


def as_figures(layer: nn.Module) -> dict[str, object]:
    """A layer as fastai's figures tell it, all but the drawn weights."""
    match layer:
        case nn.BatchNorm1d():
            first = {"weight": float(layer.weight.detach()[0]), "bias": float(layer.bias.detach()[0])}
            sizes = {"features": layer.num_features, "eps": layer.eps, "momentum": layer.momentum}
            return {"kind": "BatchNorm1d", **sizes, **first}
        case nn.Dropout():
            return {"kind": "Dropout", "p": layer.p}
        case nn.Linear():
            sizes = {"inputs": layer.in_features, "outputs": layer.out_features}
            return {"kind": "Linear", **sizes, "bias": layer.bias is not None}
        case _:
            return {"kind": type(layer).__name__}


def test_the_head_is_fastais_layer_by_layer() -> None:
    fastai = [{key: layer[key] for key in layer.keys() - {"std", "largest"}} for layer in figures("head")]

    head = build_head(512, 37, last_layer_bias=False, seed=1)

    # Pooling and flattening are a part of their own with us.
    assert fastai[:2] == [{"kind": "AdaptiveConcatPool2d"}, {"kind": "Flatten"}]
    assert [as_figures(layer) for layer in head] == fastai[2:]


def test_linear_layers_start_with_fastais_spread() -> None:
    fastai = [layer["std"] for layer in figures("head") if layer["kind"] == "Linear"]

    head = build_head(512, 37, last_layer_bias=False, seed=1)

    spread = [float(layer.weight.detach().std()) for layer in head if isinstance(layer, nn.Linear)]
    # sqrt(2 / inputs)
    assert fastai == pytest.approx([0.0442, 0.0625], rel=0.01)
    assert spread == pytest.approx(fastai, rel=0.02)


def test_the_first_courses_head_has_a_bias_in_its_last_layer() -> None:
    head = build_head(8, 3, last_layer_bias=True, seed=1)

    assert torch.equal(head.get_parameter("6.bias"), torch.zeros(3))


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


@pytest.mark.parametrize("name", ["resnet18", "efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2"])
def test_a_network_has_the_layer_groups_and_features_of_the_catalogue(name: str) -> None:
    model = build(name, 5, last_layer_bias=False, seed=1).eval()

    with torch.no_grad():
        features = model.backbone(torch.zeros(1, 3, 32, 32))
        logits = model(torch.zeros(2, 3, 32, 32))

    assert features.shape[1] == ARCHITECTURES[name].features
    assert len(model.layer_groups()) == ARCHITECTURES[name].layer_groups
    assert logits.shape == (2, 5)


@pytest.mark.parametrize("name", figures("layer_groups"))
def test_layer_groups_hold_as_many_parameters_as_fastais(name: str) -> None:
    model = build(name, 37, last_layer_bias=False, seed=1)

    groups = [list(group.parameters()) for group in model.layer_groups()]

    fastai = figures("layer_groups")[name]
    assert [len(group) for group in groups] == [group["tensors"] for group in fastai]
    assert [sum(one.numel() for one in group) for group in groups] == [group["parameters"] for group in fastai]


def test_every_architecture_of_the_catalogue_can_be_built() -> None:
    assert set(BUILDERS) == set(ARCHITECTURES)


@pytest.mark.weights
@pytest.mark.parametrize(
    ("name", "tensors"), [("efficientnet-lite0", 296), ("efficientnet-lite1", 386), ("efficientnet-lite2", 386)]
)
def test_the_package_carries_weights_that_fit(name: str, tensors: int, tmp_path: Path) -> None:
    entry = ARCHITECTURES[name]
    pretrained = load(entry, entry.weights[0], tmp_path, on_event=lambda event: None, stop=NeverStop())

    model = build(entry.name, 5, last_layer_bias=False, seed=1, pretrained=pretrained)

    assert len(pretrained) == tensors
    assert torch.equal(next(model.backbone.parameters()), next(iter(pretrained.values())))


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_catalogue_counts_the_weights_that_timm_builds(number: int) -> None:
    with torch.device("meta"):
        whole = timm.create_model(f"tf_efficientnet_lite{number}", pretrained=False)

    built = sum(parameter.numel() for parameter in whole.parameters())
    assert built == ARCHITECTURES[f"efficientnet-lite{number}"].parameters


@pytest.mark.parametrize(("name", "blocks"), [("efficientnet-lite0", 9), ("efficientnet-lite2", 9), ("resnet18", 5)])
def test_the_blocks_one_after_the_other_are_the_network(name: str, blocks: int) -> None:
    model = build(name, 3, last_layer_bias=False, seed=1).eval()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        whole = model(images)
        cut = [
            model.forward_trainable(model.forward_frozen(images, place), place)
            for place in (0, blocks // 2, blocks, blocks + 1)
        ]

    assert len(model.blocks()) == blocks
    assert sum(len(list(block.parameters())) for block in model.blocks()) == len(list(model.backbone.parameters()))
    assert all(torch.allclose(answers, whole, atol=1e-6) for answers in cut)
