"""Networks: a pretrained backbone and the course's head on top."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import timm
import torch
import torchvision
from timm.models import EfficientNet
from torch import Tensor, nn

from backend.domain.architectures import Architecture
from backend.domain.catalogue import architecture_named
from worker.engine.errors import NetworkDiffers
from worker.engine.network.timm_backbones import TimmBackbone, build_backbone

Weights = Mapping[str, Tensor]
"""Tensors by parameter name, on the CPU."""

Builder = Callable[[Weights | None], nn.Sequential]
"""Builds a backbone ``(N, 3, H, W) -> (N, C, h, w)``, with the given pretrained weights or with random ones.

Its children are its layer groups, lowest first."""

HEAD_WIDTH: Final = 512


class ConcatPool(nn.Module):
    """``(N, C, h, w) -> (N, 2C)``: maximum, then average over all indices. Source: fastai ``AdaptiveConcatPool2d``."""

    def forward(self, features: Tensor) -> Tensor:
        """Pool over height and width."""
        return torch.cat([features.amax(dim=(2, 3)), features.mean(dim=(2, 3))], dim=1)


class Classifier(nn.Module):
    """A network that answers K logits for an image.

    Attributes:
        backbone: the pretrained part; its children are layer groups.
        pool: from feature map to one vector; learns nothing.
        head: the new part, the last layer group.
    """

    def __init__(self, backbone: nn.Sequential, head: nn.Sequential) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = ConcatPool()
        self.head = head

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) normalised -> (N, 2C): what the head sees."""
        return self.pool(self.backbone(images))  # type: ignore[no-any-return]  # a module's call is Any

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) normalised -> (N, K) logits."""
        return self.head(self.features(images))  # type: ignore[no-any-return]  # as above

    def layer_groups(self) -> list[nn.Module]:
        """Parts with learning rates of their own, lowest layers first, the head last."""
        below = [part for group in self.backbone.children() for part in _groups_of(group)]
        return [*below, self.head]

    def never_decaying(self) -> set[nn.Parameter]:
        """Parameters that the network itself wants spared from weight decay, beside batch norm's and biases."""
        parts = [part for part in self.backbone.children() if isinstance(part, TimmBackbone)]
        return {parameter for part in parts for parameter in part.never_decaying()}

    def blocks(self) -> list[nn.Sequential]:
        """Parts of the backbone that can be left frozen one by one, lowest first; together they are the backbone."""
        return [block for group in self.backbone.children() for block in _blocks_of(group)]

    def forward_frozen(self, images: Tensor, frozen_blocks: int) -> Tensor:
        """(N, 3, H, W) normalised -> (N, C, h, w), or (N, T, C) of tokens: output of so many of the lowest blocks."""
        for block in self.blocks()[:frozen_blocks]:
            images = block(images)
        return images

    def forward_trainable(self, activations: Tensor, frozen_blocks: int) -> Tensor:
        """Output of so many of the lowest blocks, (N, C, h, w) or (N, T, C), -> (N, K) logits."""
        for block in self.blocks()[frozen_blocks:]:
            activations = block(activations)
        return self.head(self.pool(activations))  # type: ignore[no-any-return]  # a module's call is Any


def _groups_of(part: nn.Module) -> list[nn.Module]:
    return part.layer_groups() if isinstance(part, TimmBackbone) else [part]


def _blocks_of(group: nn.Module) -> list[nn.Sequential]:
    """The blocks of a layer group; what comes before its first stack of layers is one of its own."""
    if isinstance(group, TimmBackbone):
        return group.blocks()
    if isinstance(group, EfficientNet):
        return [
            nn.Sequential(group.conv_stem, group.bn1),
            *(nn.Sequential(stack) for stack in group.blocks),
            nn.Sequential(group.conv_head, group.bn2),
        ]
    parts = list(group.children())
    first = next((index for index, part in enumerate(parts) if isinstance(part, nn.Sequential)), len(parts))
    stem = [nn.Sequential(*parts[:first])] if first else []
    return stem + [nn.Sequential(part) for part in parts[first:]]


def build(
    architecture: str | Architecture,
    classes: int,
    *,
    last_layer_bias: bool,
    seed: int,
    pretrained: Weights | None = None,
) -> Classifier:
    """A network for ``classes`` answers: the backbone as pretrained, the head fresh, a function of ``seed``.

    Raises:
        NetworkDiffers: the installed timm builds another network of that name.
    """
    entry = architecture if isinstance(architecture, Architecture) else architecture_named(architecture)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if entry.name in BUILDERS:
            backbone = BUILDERS[entry.name](pretrained)
        else:
            backbone = build_backbone(entry.name, pretrained)
        head = build_head(entry.features, classes, last_layer_bias=last_layer_bias, seed=seed)
    model = Classifier(backbone, head)
    if entry.built_by and (len(model.blocks()), len(model.layer_groups())) != (entry.blocks, entry.layer_groups):
        raise NetworkDiffers(entry.name, entry.built_by)
    return model


def build_head(features: int, classes: int, *, last_layer_bias: bool, seed: int) -> nn.Sequential:
    """``(N, 2 x features) -> (N, classes)`` logits. Source: fastai ``create_head`` with its defaults."""
    head = nn.Sequential(
        nn.BatchNorm1d(2 * features),
        nn.Dropout(0.25),
        nn.Linear(2 * features, HEAD_WIDTH, bias=False),
        nn.ReLU(inplace=True),
        nn.BatchNorm1d(HEAD_WIDTH),
        nn.Dropout(0.5),
        nn.Linear(HEAD_WIDTH, classes, bias=last_layer_bias),
    )
    random = torch.Generator().manual_seed(seed)
    for layer in head:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, generator=random)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        if isinstance(layer, nn.BatchNorm1d):
            nn.init.constant_(layer.bias, 1e-3)
    return head


def _unwritten(pretrained: Weights | None) -> AbstractContextManager[object]:
    """Where weights come from elsewhere, drawing some first would take longer than reading them."""
    return nullcontext() if pretrained is None else torch.device("meta")


def _resnet(name: str) -> Builder:
    def build_backbone(pretrained: Weights | None) -> nn.Sequential:
        with _unwritten(pretrained):
            whole = torchvision.models.get_model(name, weights=None)
        if pretrained is not None:
            whole.load_state_dict(pretrained, assign=True)
        low = nn.Sequential(whole.conv1, whole.bn1, whole.relu, whole.maxpool, whole.layer1, whole.layer2)
        return nn.Sequential(low, nn.Sequential(whole.layer3, whole.layer4))

    return build_backbone


def _efficientnet_lite(number: int) -> Builder:
    def build_backbone(pretrained: Weights | None) -> nn.Sequential:
        with _unwritten(pretrained):
            whole = timm.create_model(f"tf_efficientnet_lite{number}", pretrained=False)
        if pretrained is not None:
            # The package names its layers differently, but lists the same tensors in the same order.
            names = whole.state_dict().keys()
            whole.load_state_dict(dict(zip(names, pretrained.values(), strict=True)), assign=True)
        whole.reset_classifier(0, global_pool="")  # type: ignore[operator]  # typed as any attribute of a module
        return nn.Sequential(whole)

    return build_backbone


BUILDERS: dict[str, Builder] = {
    "efficientnet-lite0": _efficientnet_lite(0),
    "efficientnet-lite1": _efficientnet_lite(1),
    "efficientnet-lite2": _efficientnet_lite(2),
    "resnet18": _resnet("resnet18"),
    "resnet34": _resnet("resnet34"),
    "resnet50": _resnet("resnet50"),
}
"""How each architecture of the catalogue is built."""
