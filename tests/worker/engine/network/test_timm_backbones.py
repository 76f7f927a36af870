from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from backend.domain.catalogue import remember
from backend.domain.training import StageRequest, TrainingRequest, resolve
from backend.imaging.preprocessing import Preprocessing
from tests.fixtures.timm_networks import (
    CONVOLUTIONAL,
    TRANSFORMER,
    WITH_BATCH_NORM,
    WITHOUT_CLASS_TOKEN,
    drawn,
    entry_of,
)
from worker.engine.checkpoints.export import export
from worker.engine.checkpoints.metadata import ModelFacts
from worker.engine.errors import NetworkDiffers, WeightsUnsuitable
from worker.engine.network.architectures import Classifier, build
from worker.engine.network.optim import build_optimizer, set_learning
from worker.engine.network.timm_backbones import (
    Network,
    NotUsable,
    TimmBackbone,
    at_input_size,
    build_backbone,
    examined,
)
from worker.engine.network.weights import load
from worker.engine.order import NeverStop

FAMILIES = (CONVOLUTIONAL, WITH_BATCH_NORM, "test_resnet.r160_in1k", TRANSFORMER, WITHOUT_CLASS_TOKEN)


def images(size: int = 64) -> torch.Tensor:
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def model_of(name: str) -> Classifier:
    return build(entry_of(name), 3, last_layer_bias=False, seed=1).eval()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_blocks_of_any_family_one_after_the_other_are_the_network(name: str) -> None:
    model = model_of(name)
    entry = entry_of(name)

    with torch.no_grad():
        whole = model(images())
        cut = [
            model.forward_trainable(model.forward_frozen(images(), place), place)
            for place in (0, 1, entry.blocks // 2, entry.blocks)
        ]

    assert len(model.blocks()) == entry.blocks > 3
    assert all(torch.allclose(answers, whole, atol=1e-6) for answers in cut)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_parameter_of_the_backbone_is_in_one_block_and_one_layer_group(name: str) -> None:
    model = model_of(name)

    everything = {id(parameter) for parameter in model.backbone.parameters()}
    for parts in (model.blocks(), model.layer_groups()[:-1]):
        found = [id(parameter) for part in parts for parameter in part.parameters()]
        assert len(found) == len(set(found))
        assert set(found) == everything


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        (CONVOLUTIONAL, ["stem", "stages.0", "stages.1", "stages.2", "stages.3"]),
        (WITH_BATCH_NORM, ["conv_stem", "blocks.0", "blocks.1", "blocks.2", "blocks.3", "blocks.4"]),
    ],
)
def test_blocks_are_what_timm_groups_together(name: str, blocks: list[str]) -> None:
    model = model_of(name)

    first_names = []
    names = {id(parameter): key for key, parameter in model.backbone.named_parameters()}
    for block in model.blocks():
        first_names.append(names[id(next(block.parameters()))])

    assert [key.startswith(f"0.whole.{start}") for key, start in zip(first_names, blocks, strict=True)] == [True] * len(
        blocks
    )


def test_a_transformers_map_has_its_patches_and_beside_them_its_class_token() -> None:
    backbone = build_backbone(TRANSFORMER, None).eval()
    whole: Network = timm.create_model(TRANSFORMER, pretrained=False, num_classes=0).eval()
    whole.load_state_dict(backbone.get_submodule("0.whole").state_dict(), strict=False)

    with torch.no_grad():
        found = backbone(images(160))
        tokens = whole.forward_features(images(160))

    assert found.shape == (2, 128, 10, 10)
    assert torch.allclose(found[:, :64, 3, 4], tokens[:, 1 + 3 * 10 + 4], atol=1e-5)
    assert torch.allclose(found[:, 64:, 9, 0], tokens[:, 0], atol=1e-5)


def test_a_network_whose_output_ends_with_channels_gives_a_map_too() -> None:
    whole, _ = examined("swin_tiny_patch4_window7_224.ms_in1k")

    assert TimmBackbone(whole, ())(torch.zeros(1, 3, 224, 224, device="meta")).shape == (1, 768, 7, 7)


def test_a_network_that_cannot_be_divided_is_one_block_with_timms_groups_of_parameters() -> None:
    whole, chain = examined("beit_base_patch16_224.in22k_ft_in22k")
    backbone = TimmBackbone(whole, chain)

    assert (len(backbone.blocks()), len(backbone.layer_groups())) == (1, 13)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("coat_mini.in1k", "it has several outputs"), ("no_such_network", "timm has no network of that name")],
)
def test_what_gives_no_feature_map_is_not_described(name: str, reason: str) -> None:
    with pytest.raises(NotUsable, match=reason):
        entry_of(name)


def test_a_rotary_transformer_takes_its_patches_positions_into_each_block() -> None:
    model = model_of("eva02_tiny_patch14_224.mim_in22k")

    with torch.no_grad():
        whole = model(images(56))
        cut = model.forward_trainable(model.forward_frozen(images(56), 2), 2)

    assert len(model.blocks()) == 13
    assert torch.allclose(cut, whole, atol=1e-5)


def test_a_transformer_that_was_brought_to_a_size_answers_the_same_there() -> None:
    model = model_of(TRANSFORMER)

    fixed = at_input_size(model, 64)

    assert fixed is not model
    assert fixed.get_parameter("backbone.0.whole.pos_embed").shape == (1, 17, 64)
    with torch.no_grad():
        assert torch.allclose(fixed(images()), model(images()), atol=1e-6)
    assert at_input_size(fixed, 64) is fixed


def test_no_last_layer_is_kept_that_nothing_learns_in() -> None:
    names = {name for name, _ in model_of(CONVOLUTIONAL).backbone.named_parameters()}

    assert not {name for name in names if name.startswith("0.whole.head")}


def test_vectors_and_positions_do_not_decay() -> None:
    model = model_of(TRANSFORMER)
    config = resolve(TrainingRequest(stages=(StageRequest(freeze=False),)))
    set_learning(model, config.stages[0])

    groups = build_optimizer(model, config.stages[0], config).param_groups

    spared = {id(one) for group in groups if group["weight_decay"] == 0 for one in group["params"]}
    named = dict(model.backbone.named_parameters())
    assert {name for name in named if name.endswith(("pos_embed", "cls_token")) and id(named[name]) in spared} == {
        "0.whole.pos_embed",
        "0.whole.cls_token",
    }
    assert all(id(one) in spared for one in named.values() if one.ndim == 1)
    assert not any(id(one) in spared for one in named.values() if isinstance(one, nn.Parameter) and one.ndim == 2)


def test_drawn_weights_from_a_file_are_the_networks(tmp_path: Path) -> None:
    entry = drawn(WITH_BATCH_NORM, tmp_path)
    weights = load(entry, entry.weights[0], tmp_path, on_event=lambda event: None, stop=NeverStop())

    model = build(entry, 3, last_layer_bias=False, seed=1, pretrained=weights)

    assert torch.equal(model.get_parameter("backbone.0.whole.conv_stem.weight"), weights["conv_stem.weight"])
    whole: Network = model.get_submodule("backbone.0.whole")
    assert "state_dict" not in whole.pretrained_cfg


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    entry, other = drawn(CONVOLUTIONAL, tmp_path), drawn(WITH_BATCH_NORM, tmp_path)
    weights = load(other, other.weights[0], tmp_path, on_event=lambda event: None, stop=NeverStop())

    with pytest.raises(WeightsUnsuitable):
        build(entry, 3, last_layer_bias=False, seed=1, pretrained=weights)


def test_a_network_that_timm_builds_otherwise_than_it_was_described_is_refused() -> None:
    entry = replace(entry_of(CONVOLUTIONAL), blocks=4, built_by="timm 0.9.0")
    remember(entry)

    with pytest.raises(NetworkDiffers) as refusal:
        build(entry, 3, last_layer_bias=False, seed=1)

    assert "timm 0.9.0" in refusal.value.advice


def test_a_rotary_transformer_answers_the_same_as_onnx() -> None:
    model, pixels = model_of("eva02_tiny_patch14_224.mim_in22k"), torch.zeros(3, 56, 56, 3, dtype=torch.uint8)
    pixels[1, :20], pixels[2, 20:] = 200, 90
    steps = Preprocessing(size=56, resize_to=56, mean=(0.5,) * 3, std=(0.5,) * 3)

    parity = export(model, ModelFacts("eva02", ("a", "b", "c"), steps), pixels).parity

    assert (parity.agreement, parity.max_difference < 1e-5) == (1.0, True)
