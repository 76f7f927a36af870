from collections.abc import Sequence

import pytest
import torch

from tests.fixtures.timm_networks import CONVOLUTIONAL, TRANSFORMER, WITH_BATCH_NORM, entry_of
from worker.engine.inside.positions import Layout
from worker.engine.network.architectures import Classifier, build


def shapes_of(model: Classifier, size: int) -> tuple[Sequence[str], list[tuple[int, int, int, bool]]]:
    """Names of the blocks, and (units, height, width, whether tokens) of each one's output."""
    layout, output, found = Layout.of(model), torch.zeros(1, 3, size, size), []
    with torch.no_grad():
        for index, block in enumerate(model.eval().blocks()):
            output = block(output)
            positions = layout.positions(output, index)
            assert positions is not None
            assert positions.values.shape == (1, positions.values.shape[1], positions.height * positions.width)
            found.append((positions.values.shape[1], positions.height, positions.width, positions.has_tokens))
    return layout.names, found


def test_a_resnet_has_its_stem_and_four_layers() -> None:
    names, found = shapes_of(build("resnet18", 3, last_layer_bias=False, seed=1), 64)

    assert names == ("conv1", "layer1", "layer2", "layer3", "layer4")
    assert found == [
        (64, 16, 16, False),
        (64, 16, 16, False),
        (128, 8, 8, False),
        (256, 4, 4, False),
        (512, 2, 2, False),
    ]


def test_efficientnet_lite_has_its_stem_seven_stacks_and_the_last_convolution() -> None:
    names, found = shapes_of(build("efficientnet-lite0", 3, last_layer_bias=False, seed=1), 64)

    assert names == ("conv_stem", *(f"blocks.{number}" for number in range(7)), "conv_head")
    assert [found[0], found[-1]] == [(32, 32, 32, False), (1280, 2, 2, False)]


@pytest.mark.parametrize(
    ("name", "first"), [(CONVOLUTIONAL, "stem"), (WITH_BATCH_NORM, "conv_stem"), ("test_resnet.r160_in1k", "conv1")]
)
def test_convolutional_networks_of_timm_have_a_map_for_each_block(name: str, first: str) -> None:
    entry = entry_of(name)

    names, found = shapes_of(build(entry, 3, last_layer_bias=False, seed=1), 64)

    assert (names[0], len(names)) == (first, entry.blocks)
    assert {has_tokens for *_, has_tokens in found} == {False}


def test_a_transformer_has_the_tokens_of_its_patches_and_none_for_the_class() -> None:
    entry = entry_of(TRANSFORMER)

    names, found = shapes_of(build(entry, 3, last_layer_bias=False, seed=1), 64)

    assert names[:2] == ("patch_embed", "blocks.0")
    assert len(names) == entry.blocks
    # 16 pixels a patch; the last map has the class token's numbers as further channels, which are no units.
    assert set(found) == {(64, 4, 4, True)}
