"""Facts of timm's networks, found without their weights: ``python -m worker.engine.network.describe NAME``.

The web process runs this in a process of its own, since it imports neither torch nor timm.
"""

import json
import logging
import re
import sys
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import timm
import torch
from pydantic import TypeAdapter
from timm.models import get_pretrained_cfg
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

from backend.domain.architectures import Architecture, PretrainedWeights, WeightSource
from backend.domain.json import Json
from worker.engine.network.timm_backbones import (
    Network,
    NotUsable,
    TimmBackbone,
    create,
    examined,
    feature_map,
    input_size,
    is_plain_transformer,
)

_COUNTED_AT: Final = 224
_HASH: Final = re.compile(r"-([a-f0-9]{8,64})\.")
_ENTRY: Final[TypeAdapter[Architecture]] = TypeAdapter(Architecture)
_HUB_FILE: Final = "model.safetensors"
_COLOURS: Final = 3


def listed() -> list[dict[str, Json]]:
    """Of all networks that timm has weights for what it knows without building them."""
    found = []
    for name in timm.list_pretrained():
        cfg: Any = get_pretrained_cfg(name)  # Any: timm may give None, but not for what it lists
        found.append(
            {
                "name": name,
                "family": _family(name),
                "default_image_size": cfg.input_size[1],
                "license": cfg.license or "",
                "weights": asdict(_weights(name, cfg.to_dict())),
                "is_default": _default_name(name) == name,
            }
        )
    return found


def described(name: str) -> Architecture:
    """The catalogue's entry of one network of timm.

    Raises:
        NotUsable: timm has no such network, or it can't be used as a backbone; in a few words why.
    """
    if not timm.is_model(name) or name not in timm.list_models(include_tags=True):
        name = _default_name(name)
    with torch.device("meta"):
        whole = create(name)
    parameters = sum(one.numel() for one in whole.parameters())
    if whole.pretrained_cfg["input_size"][0] != _COLOURS:
        raise NotUsable("it isn't made for pictures of three colours")
    height, width = input_size(whole)
    if height != width:
        raise NotUsable("its pictures aren't square")
    twin, chain = examined(name)
    backbone = TimmBackbone(twin, chain)
    gflops, activations, features = _counted(backbone, height)
    scale = (_COUNTED_AT / height) ** 2
    cfg = twin.pretrained_cfg
    return Architecture(
        name=name,
        title=name,
        family=_family(name),
        parameters=parameters,
        features=features,
        layer_groups=len(backbone.layer_groups()) + 1,
        default_image_size=height,
        mean=tuple(cfg["mean"]),
        std=tuple(cfg["std"]),
        weights=(_weights(name, cfg),),
        blocks=len(backbone.blocks()),
        license=cfg.get("license") or "",
        has_batch_norm=any(isinstance(module, _BatchNorm) for module in twin.modules()),
        size_step=int(twin.patch_embed.patch_size[0]) if is_plain_transformer(twin) else 1,
        is_fixed_size=bool(cfg.get("fixed_input_size")) and not is_plain_transformer(twin),
        gflops=round(scale * gflops, 4),
        activations=round(scale * activations),
        built_by=f"timm {timm.__version__}",
    )


def _default_name(name: str) -> str:
    """The whole name, with its weights', of a network that was named without them."""
    try:
        cfg: Any = get_pretrained_cfg(name, allow_unregistered=False)  # Any: as above
    except RuntimeError as error:
        raise NotUsable("timm has no network of that name") from error
    return f"{cfg.architecture}.{cfg.tag}" if cfg.tag else str(cfg.architecture)


def _family(name: str) -> str:
    return timm.model_entrypoint(name).__module__.rpartition(".")[2]


def _weights(name: str, cfg: Mapping[str, Any]) -> PretrainedWeights:  # Any: values of several types
    """Where timm's weights of a network come from; a file laid there by hand has the name that is given here."""
    weights_name = name.partition(".")[2] or "default"
    if hub_id := cfg.get("hf_hub_id"):
        hub_file = cfg.get("hf_hub_filename") or _HUB_FILE
        return PretrainedWeights(
            weights_name,
            WeightSource.DOWNLOAD,
            file_name=f"{name}.safetensors",
            hub_id=hub_id,
            hub_file=hub_file if hub_file.endswith(".safetensors") else _HUB_FILE,
        )
    url = cfg.get("url") or ""
    if not isinstance(url, str):  # the address and another name for the file
        url = url[0]
    file_name = url.rpartition("/")[2]
    if not file_name.endswith((".pth", ".pt", ".bin", ".safetensors")):
        return PretrainedWeights(weights_name, WeightSource.DOWNLOAD, file_name=f"{name}.safetensors")
    found = _HASH.search(file_name)
    return PretrainedWeights(
        weights_name,
        WeightSource.DOWNLOAD,
        file_name=file_name,
        sha256_prefix=found[1] if found else "",
        url=url,
    )


def _counted(backbone: TimmBackbone, size: int) -> tuple[float, int, int]:
    """For one picture: operations in billions, numbers put out by layers with weights, and the map's channels."""
    activations = 0

    def count(module: nn.Module, given: tuple[Any, ...], answer: Tensor) -> None:
        nonlocal activations
        activations += answer.numel()

    for module in backbone.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    # The counter would follow gradients, which are not computed here.
    backbone.requires_grad_(False)
    image = torch.zeros(1, _COLOURS, size, size, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        found = feature_map(backbone.whole, _features(backbone.whole, image))
    return counter.get_total_flops() / 1e9, activations, int(found.shape[1])


def _features(whole: Network, image: Tensor) -> Tensor:
    features: Tensor = whole.forward_features(image)
    return features


def main(name: str | None) -> dict[str, Json]:
    """What is printed: all names, or one network's entry, or why it has none."""
    if name is None:
        return {"names": listed()}
    try:
        return {"entry": _ENTRY.dump_python(described(name), mode="json")}
    except NotUsable as reason:
        return {"unusable": str(reason)}
    except Exception as error:  # networks of any kind, written by many people: each may fail in a way of its own
        return {"unusable": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    logging.disable()
    warnings.simplefilter("ignore")
    json.dump(main(sys.argv[1] if len(sys.argv) > 1 else None), sys.stdout)
