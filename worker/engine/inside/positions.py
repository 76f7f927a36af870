"""The outputs of a network's blocks, whatever its family, as activations of units at positions."""

import math
from dataclasses import dataclass

from timm.models import EfficientNet
from torch import Tensor

from worker.engine.network.architectures import Classifier
from worker.engine.network.timm_backbones import TimmBackbone, is_plain_transformer


@dataclass(frozen=True, slots=True)
class Positions:
    """Activations of C units at h x w positions.

    Attributes:
        values: (N, C, h * w), row by row.
        has_tokens: whether they are a transformer's tokens.
    """

    values: Tensor
    height: int
    width: int
    has_tokens: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """How the blocks of a network put out their positions.

    Attributes:
        names: of the blocks, lowest first.
        prefix_tokens: tokens before those of patches, such as the class token.
        token_units: numbers that a token has; 0 where the network has no tokens.
        is_channels_last: whether blocks put out (N, h, w, C).
    """

    names: tuple[str, ...]
    prefix_tokens: int
    token_units: int
    is_channels_last: bool

    @classmethod
    def of(cls, model: Classifier) -> "Layout":
        """That of a network."""
        backbone = next((part for part in model.backbone.children() if isinstance(part, TimmBackbone)), None)
        if backbone is None:
            return cls(_names(model), 0, 0, False)
        whole = backbone.whole
        has_tokens = is_plain_transformer(whole)
        return cls(
            backbone.block_names(),
            int(getattr(whole, "num_prefix_tokens", 0)),
            int(whole.num_features) if has_tokens else 0,
            str(getattr(whole, "output_fmt", "NCHW")).endswith("NHWC"),
        )

    def positions(self, output: Tensor, block: int) -> Positions | None:
        """The output of a block (from 0) as positions; None where it has no two equal sides."""
        is_last = block == len(self.names) - 1
        if output.ndim == 3:
            tokens = output[:, self.prefix_tokens :]
            side = math.isqrt(tokens.shape[1])
            if side * side != tokens.shape[1]:
                return None
            return Positions(tokens.transpose(1, 2), side, side, has_tokens=True)
        if output.ndim != 4:
            return None
        if self.is_channels_last and not is_last:
            output = output.permute(0, 3, 1, 2)
        if self.token_units:
            # Further channels are the vector of the whole picture, the same everywhere.
            output = output[:, : self.token_units]
        return Positions(output.flatten(2), output.shape[2], output.shape[3], has_tokens=bool(self.token_units))


def _names(model: Classifier) -> tuple[str, ...]:
    """Names of the blocks of a network of the catalogue, as torchvision and timm call its layers."""
    count = len(model.blocks())
    if any(isinstance(part, EfficientNet) for part in model.backbone.children()):
        return ("conv_stem", *(f"blocks.{number}" for number in range(count - 2)), "conv_head")
    return ("conv1", *(f"layer{number}" for number in range(1, count)))
