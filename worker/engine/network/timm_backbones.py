"""Backbones of timm: any of its networks without its last layer, and how it divides into blocks and layer groups.

timm gives each network ``forward_features``; this module makes a feature map ``(N, C, h, w)`` of what it
returns and finds, by watching one pass, which of its modules lead from the image to that map one after
another. What timm's own ``group_matcher`` puts together is one block.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from typing import Any, Final

import timm
import torch
from timm.models import group_parameters
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from worker.engine.errors import WeightsUnsuitable
from worker.engine.hardware.memory import is_out_of_memory

Network = Any
"""A network of timm's: a module whose attributes and methods only timm knows."""

_CONTAINERS: Final = (nn.Sequential, nn.ModuleList)


class NotUsable(Exception):
    """A network of timm whose output can't be made a feature map."""


class TimmBackbone(nn.Module):
    """``(N, 3, H, W)`` normalised -> ``(N, C, h, w)``.

    A transformer's map has the last output for each patch at the patch's position. Where the network has a vector for
    the whole image (a class token, or attention over the patches), its numbers follow as further channels, the same
    everywhere: pooling then gives it to the head beside the patches' maximum and average.

    Attributes:
        whole: timm's network, without the layers that a feature map doesn't need.
        chain: names of the modules that lead to the map, in order; empty where they aren't a chain.
    """

    def __init__(self, whole: Network, chain: Sequence[str]) -> None:
        super().__init__()
        self.whole, self.chain = whole, tuple(chain)
        self._numbers = _block_numbers(whole, self.chain)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) normalised -> (N, C, h, w)."""
        return feature_map(self.whole, self.whole.forward_features(images))

    def blocks(self) -> list[nn.Sequential]:
        """Parts that, one after another, are the backbone; one alone where it can't be divided."""
        whole = self.whole
        if is_plain_transformer(whole):
            *low, last = _transformer_blocks(whole)
            return [nn.Sequential(part) for part in low] + [nn.Sequential(last, whole.norm, _ToMap(whole))]
        if not self.chain:
            return [nn.Sequential(self)]
        modules = [whole.get_submodule(name) for name in self.chain]
        blocks = [
            [module for _, module in found]
            for _, found in groupby(zip(self._numbers, modules, strict=True), key=lambda pair: pair[0])
        ]
        return [nn.Sequential(*block) for block in blocks[:-1]] + [nn.Sequential(*blocks[-1], _ToMap(whole))]

    def block_names(self) -> tuple[str, ...]:
        """What timm calls the first module of each of ``blocks``; the first block is a stem of several."""
        if is_plain_transformer(self.whole):
            return ("patch_embed", *(f"blocks.{number}" for number in range(len(self.whole.blocks))))
        if not self.chain:
            return ("whole network",)
        pairs = zip(self._numbers, self.chain, strict=True)
        first, *others = (next(found)[1] for _, found in groupby(pairs, key=lambda pair: pair[0]))
        return (first.partition(".")[0], *others)

    def layer_groups(self) -> list[nn.Module]:
        """Parts with rates of their own, lowest first: the blocks, else what timm's ``group_matcher`` puts together."""
        blocks = self.blocks()
        if len(blocks) > 1:
            return list(blocks)
        groups = _groups_of(self.whole)
        named = dict(self.whole.named_parameters())
        return [
            _Parameters({name: named[name] for name in named if groups[name] == group})
            for group in sorted(set(groups.values()))
        ]

    def never_decaying(self) -> set[nn.Parameter]:
        """Parameters that weight decay spares: vectors, as in timm's own training, and what the network names."""
        spared = set(self.whole.no_weight_decay()) if hasattr(self.whole, "no_weight_decay") else set()
        return {one for name, one in self.whole.named_parameters() if one.ndim <= 1 or name in spared}

    def is_at(self, size: int) -> bool:
        """Whether ``set_input_size`` would change nothing."""
        return _is_at(self.whole, size)

    def set_input_size(self, size: int) -> None:
        """Bring the position of each patch to pictures of that size once, instead of in every pass."""
        _set_input_size(self.whole, size)


def build_backbone(name: str, weights: Mapping[str, Tensor] | None) -> nn.Sequential:
    """A backbone by timm's name, with weights by their origin's names or with random ones.

    Raises:
        NotUsable: its output isn't a feature map.
        WeightsUnsuitable: the weights are of another network.
    """
    twin, chain = examined(name)
    further: dict[str, Any] = {} if weights is None else {"state_dict": dict(weights), "file": None}
    try:
        whole = create(name, pretrained=weights is not None, pretrained_cfg_overlay=further)
    except (RuntimeError, KeyError) as error:
        if weights is None or is_out_of_memory(error):
            raise
        raise WeightsUnsuitable(name) from error
    # timm keeps what it was given; every copy of the network would hold the weights twice.
    whole.pretrained_cfg.pop("state_dict", None)
    _without_unneeded(whole, [child for child, part in twin.named_children() if isinstance(part, nn.Identity)])
    return nn.Sequential(TimmBackbone(whole, chain))


def create(name: str, **given: Any) -> Network:  # Any: timm's arguments
    """timm's network; a transformer is built for pictures of any size that its patches divide."""
    return timm.create_model(name, **{"pretrained": False, **given, **_for_any_size(name)})


def examined(name: str) -> tuple[Network, tuple[str, ...]]:
    """The network on the ``meta`` device, without unneeded layers, and its chain of modules.

    Raises:
        NotUsable
    """
    with torch.device("meta"):
        whole = create(name).eval()
        image = torch.zeros(1, 3, *input_size(whole))
    called: set[nn.Module] = set()
    watches = [module.register_forward_pre_hook(lambda one, _: called.add(one)) for module in whole.modules()]
    with torch.no_grad():
        features = whole.forward_features(image)
        if not isinstance(features, Tensor):
            raise NotUsable("it has several outputs")
        feature_map(whole, features)
    for watch in watches:
        watch.remove()
    _without_unneeded(whole, [name for name, part in whole.named_children() if not called & set(part.modules())])
    return whole, _chain(whole, image)


def input_size(whole: Network) -> tuple[int, int]:
    """Height and width of the pictures that the weights were trained on, as timm has them."""
    _, height, width = whole.pretrained_cfg["input_size"]
    return int(height), int(width)


def is_plain_transformer(whole: Network) -> bool:
    """Whether the network is a vision transformer whose pass is timm's usual one."""
    usual = (VisionTransformer.forward_features, Eva.forward_features)
    return isinstance(whole, VisionTransformer | Eva) and type(whole).forward_features in usual


def feature_map(whole: Network, features: Tensor) -> Tensor:
    """What ``forward_features`` returned as (N, C, h, w).

    Raises:
        NotUsable: it has no two equal sides.
    """
    if features.ndim == 4:
        return features.permute(0, 3, 1, 2) if str(getattr(whole, "output_fmt", "NCHW")).endswith("NHWC") else features
    if features.ndim != 3:
        raise NotUsable("its output has no height and width")
    patches = features[:, int(getattr(whole, "num_prefix_tokens", 0)) :]
    side = math.isqrt(int(patches.shape[1]))
    if side * side != int(patches.shape[1]):
        raise NotUsable("its patches aren't a square")
    found = patches.transpose(1, 2).reshape(patches.shape[0], -1, side, side)
    vector = _of_whole_image(whole, features)
    return found if vector is None else torch.cat([found, vector[:, :, None, None].expand(-1, -1, side, side)], dim=1)


def _of_whole_image(whole: Network, tokens: Tensor) -> Tensor | None:
    """The network's own vector for a whole image, where it isn't an average of its patches."""
    if is_plain_transformer(whole) and whole.attn_pool is not None:
        pooled: Tensor = whole.pool(tokens)
        return pooled
    has_class_token = getattr(whole, "cls_token", None) is not None and int(getattr(whole, "num_prefix_tokens", 0)) > 0
    return tokens[:, 0] if has_class_token else None


class _ToMap(nn.Module):
    """The last step of a divided backbone; what it needs of the network besides its input are its settings."""

    def __init__(self, whole: Network) -> None:
        super().__init__()
        self._whole = (whole,)  # in a tuple, so that its layers aren't this module's
        if is_plain_transformer(whole) and whole.attn_pool is not None:
            self.attn_pool = whole.attn_pool

    def forward(self, features: Tensor) -> Tensor:
        return feature_map(self._whole[0], features)


class _Embedding(nn.Module):
    """``(N, 3, H, W)`` normalised -> ``(N, T, C)``: a transformer up to its first block."""

    def __init__(self, whole: Network) -> None:
        super().__init__()
        self._whole: tuple[Network] = (whole,)
        self._adopt()

    def forward(self, images: Tensor) -> Tensor:
        whole = self._whole[0]
        positioned = whole._pos_embed(whole.patch_embed(images))
        tokens: Tensor = whole.norm_pre(positioned[0] if isinstance(whole, Eva) else whole.patch_drop(positioned))
        return tokens

    def is_at(self, size: int) -> bool:
        """As the backbone's."""
        return _is_at(self._whole[0], size)

    def set_input_size(self, size: int) -> None:
        """As the backbone's."""
        _set_input_size(self._whole[0], size)
        self._adopt()

    def _adopt(self) -> None:
        whole = self._whole[0]
        for name in ("patch_embed", "norm_pre", "pos_drop", "patch_drop", "cls_token", "reg_token", "pos_embed"):
            setattr(self, name, getattr(whole, name, None))


class _RotaryBlock(nn.Module):
    """``(N, T, C) -> (N, T, C)``: a block that takes the positions of the patches as a second input."""

    def __init__(self, whole: Network, number: int) -> None:
        super().__init__()
        self._whole, self._number = (whole,), number
        self.block: nn.Module = whole.blocks[number]

    def forward(self, tokens: Tensor) -> Tensor:
        whole = self._whole[0]
        side = math.isqrt(int(tokens.shape[1]) - int(whole.num_prefix_tokens))
        rope = whole.rope.get_embed(shape=(side, side))
        after: Tensor = self.block(tokens, rope=rope[self._number] if whole.rope_mixed else rope)
        return after


class _FixedRotary(nn.Module):
    """A rotary embedding of one grid of patches: computed once, as an export can't compute it from sides."""

    def __init__(self, original: Network, grid: tuple[int, int]) -> None:
        super().__init__()
        self.original = original
        with torch.no_grad():
            self.embedding = original.get_embed(shape=grid)

    def get_embed(self, shape: object = None) -> Tensor:
        """(L, C) or, for each block its own, (D, ..., L, C); ``shape`` is the grid's."""
        embedding: Tensor = self.embedding
        return embedding


def _transformer_blocks(whole: Network) -> list[nn.Module]:
    if isinstance(whole, Eva) and whole.rope is not None:
        return [_Embedding(whole), *(_RotaryBlock(whole, number) for number in range(len(whole.blocks)))]
    return [_Embedding(whole), *whole.blocks]


class _Parameters(nn.Module):
    """Parameters of one layer group of a network that can't be divided into modules."""

    def __init__(self, parameters: dict[str, nn.Parameter]) -> None:
        super().__init__()
        for name, parameter in parameters.items():
            self.register_parameter(name.replace(".", "_"), parameter)


def fix_input_size(layers: nn.Module, size: int) -> None:
    """Bring transformers among these layers to pictures of that size for good: their positions can then be exported."""
    for module in list(layers.modules()):
        if isinstance(module, TimmBackbone | _Embedding):
            module.set_input_size(size)


def has_tokens(layers: nn.Module, size: int) -> bool:
    """Whether the feature map of a backbone is made of a transformer's tokens; for pictures of that size."""
    wholes = [module.whole for module in layers.modules() if isinstance(module, TimmBackbone)]
    with torch.no_grad():
        return any(whole.forward_features(torch.zeros(1, 3, size, size)).ndim == 3 for whole in wholes)


def at_input_size(layers: nn.Module, size: int) -> nn.Module:
    """The layers, or a copy of them that ``fix_input_size`` has brought to another size."""
    if all(module.is_at(size) for module in layers.modules() if isinstance(module, TimmBackbone | _Embedding)):
        return layers
    copied = copy.deepcopy(layers)
    fix_input_size(copied, size)
    return copied


@cache
def _for_any_size(name: str) -> Mapping[str, Any]:
    with torch.device("meta"):
        whole = timm.create_model(name, pretrained=False)
    return {"dynamic_img_size": True} if is_plain_transformer(whole) else {}


def _is_at(whole: Network, size: int) -> bool:
    if not is_plain_transformer(whole):
        return True
    has_rotary = getattr(whole, "rope", None) is not None
    return whole.patch_embed.img_size == (size, size) and (not has_rotary or isinstance(whole.rope, _FixedRotary))


def _set_input_size(whole: Network, size: int) -> None:
    if _is_at(whole, size):
        return
    whole.set_input_size(img_size=(size, size))
    if getattr(whole, "rope", None) is not None:
        rope = whole.rope.original if isinstance(whole.rope, _FixedRotary) else whole.rope
        whole.rope = _FixedRotary(rope, whole.patch_embed.grid_size)


def _without_unneeded(whole: Network, children: Sequence[str]) -> None:
    """Replace the last layers, and others with weights that no pass to the features needs."""
    for name in children:
        child = getattr(whole, name)
        # A rotary embedding is needed although it isn't called: the blocks take its numbers.
        if any(True for _ in child.parameters()) and not hasattr(child, "get_embed"):
            setattr(whole, name, nn.Identity())


def _groups_of(whole: Network) -> dict[str, int]:
    """The number of timm's coarse group of each parameter, lowest layers first."""
    if not hasattr(whole, "group_matcher"):
        return {name: 0 for name, _ in whole.named_parameters()}
    try:
        matcher = whole.group_matcher(coarse=True)
    except AssertionError:  # a few networks have only the finer grouping
        matcher = whole.group_matcher()
    groups: dict[str, int] = group_parameters(whole, matcher, reverse=True)
    return groups


def _block_numbers(whole: Network, chain: Sequence[str]) -> list[int]:
    """For each module of a chain its block: timm's group of its parameters, and never a lower one than before."""
    groups, number, numbers = _groups_of(whole), 0, []
    for name in chain:
        own = [group for parameter, group in groups.items() if parameter.startswith(f"{name}.")]
        number = max([number, *own])
        numbers.append(number)
    return numbers


def _chain(whole: Network, image: Tensor) -> tuple[str, ...]:
    """Names of the modules of which each takes just what the one before gave, from image to features."""
    for modules in (_children(whole, is_opened=True), _children(whole, is_opened=False)):
        if chain := _watched(whole, modules, image):
            return chain
    return ()


def _children(whole: Network, *, is_opened: bool) -> dict[str, nn.Module]:
    found: dict[str, nn.Module] = {}
    for name, child in whole.named_children():
        if is_opened and isinstance(child, _CONTAINERS):
            found |= {f"{name}.{inner}": module for inner, module in child.named_children()}
        else:
            found[name] = child
    return found


def _watched(whole: Network, modules: dict[str, nn.Module], image: Tensor) -> tuple[str, ...]:
    """The chain of these modules in one pass; empty where something else changes what goes from one to the next."""
    chain: list[str] = []
    expected: list[tuple[Tensor, int] | None] = [(image, image._version)]

    def watch(name: str, given: tuple[Any, ...], named: dict[str, Any], answer: object) -> None:
        before = expected[-1]
        is_next = before is not None and len(given) == 1 and given[0] is before[0] and not any(named.values())
        chain.append(name)
        expected.append((answer, answer._version) if is_next and isinstance(answer, Tensor) else None)

    def is_untouched(module: nn.Module, given: tuple[Any, ...]) -> None:
        if expected[-1] is not None and expected[-1][0]._version != expected[-1][1]:
            expected[-1] = None

    watches = [module.register_forward_pre_hook(is_untouched) for module in modules.values()]
    watches += [
        module.register_forward_hook(
            lambda _, given, named, answer, name=name: watch(name, given, named, answer), with_kwargs=True
        )
        for name, module in modules.items()
    ]
    with torch.no_grad():
        features = whole.forward_features(image)
    for one in watches:
        one.remove()
    last = expected[-1]
    is_whole = last is not None and last[0] is features and len(set(chain)) == len(chain) > 0
    return tuple(chain) if is_whole and None not in expected else ()
