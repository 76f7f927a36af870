"""Faster gradients of depthwise convolutions in bfloat16 on a processor.

oneDNN has no fast bfloat16 kernels for the weights of wide depthwise filters and for the inputs of strided
ones: they take three to six times as long as float32's (measured with 32 images and EfficientNet-Lite0's
layers, docs/speed.md). Those two gradients are computed in float32 here and all others in bfloat16.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Protocol

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

_NARROW: Final = 3
"""Side of a filter up to which bfloat16 is faster for the weights' gradient."""

_conv2d: Final = nn.functional.conv2d


class _Saved(Protocol):
    saved_tensors: tuple[Tensor, Tensor]
    needs_input_grad: tuple[bool, ...]
    geometry: tuple[list[int], list[int], list[int]]

    def save_for_backward(self, *tensors: Tensor) -> None: ...


def fast_depthwise(device: torch.device, autocast: torch.dtype | None) -> AbstractContextManager[object]:
    """Within it, depthwise convolutions whose gradients are wanted get the faster ones; nothing changes elsewhere."""
    if device.type == "cpu" and autocast is torch.bfloat16:
        return _FastDepthwise()
    return nullcontext()


class _FastDepthwise(TorchFunctionMode):
    # Any: torch hands over the arguments of any of its functions.
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        arguments = {**dict(zip(_PARAMETERS, args, strict=False)), **(kwargs or {})} if func is _conv2d else {}
        if not _is_depthwise(arguments):
            return func(*args, **(kwargs or {}))
        geometry = [_pair(arguments.get(name, usual)) for name, usual in _GEOMETRY.items()]
        with torch.autocast("cpu", enabled=False):
            return _Depthwise.apply(arguments["input"], arguments["weight"], *geometry)


_PARAMETERS: Final = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_GEOMETRY: Final = {"stride": 1, "padding": 0, "dilation": 1}


def _is_depthwise(arguments: dict[str, Any]) -> bool:  # Any: of several types
    if arguments.get("groups", 1) == 1 or arguments.get("bias") is not None or not torch.is_grad_enabled():
        return False
    channels = arguments["input"].shape[1]
    is_numeric = not isinstance(arguments.get("padding"), str)
    return bool(is_numeric and arguments["groups"] == channels == len(arguments["weight"]))


def _pair(value: int | tuple[int, int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


class _Depthwise(torch.autograd.Function):
    """(N, C, H, W) images and (C, 1, k, k) filters to (N, C, h, w), computed in bfloat16."""

    @staticmethod
    def forward(
        ctx: _Saved, images: Tensor, filters: Tensor, stride: list[int], padding: list[int], dilation: list[int]
    ) -> Tensor:
        rough = images.to(torch.bfloat16)
        ctx.save_for_backward(rough, filters)
        ctx.geometry = stride, padding, dilation
        answer: Tensor = torch.ops.aten.convolution(
            rough, filters.to(torch.bfloat16), None, *ctx.geometry, False, [0, 0], len(filters)
        )
        return answer

    @staticmethod
    def backward(ctx: _Saved, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, filters = ctx.saved_tensors
        of_images = of_filters = None
        if ctx.needs_input_grad[0]:
            kind = torch.bfloat16 if max(ctx.geometry[0]) == 1 else torch.float32
            of_images = _gradient(ctx, gradient, images, filters, kind, wanted=0).to(images.dtype)
        if ctx.needs_input_grad[1]:
            kind = torch.bfloat16 if max(filters.shape[2:]) <= _NARROW else torch.float32
            of_filters = _gradient(ctx, gradient, images, filters, kind, wanted=1).to(filters.dtype)
        return of_images, of_filters, None, None, None


def _gradient(
    ctx: _Saved, gradient: Tensor, images: Tensor, filters: Tensor, kind: torch.dtype, *, wanted: int
) -> Tensor:
    """The gradient of the images (``wanted`` 0) or of the filters (1), computed in that number format."""
    both = torch.ops.aten.convolution_backward(
        gradient.to(kind, memory_format=torch.channels_last),
        images.to(kind),
        filters.to(kind),
        None,
        *ctx.geometry,
        False,
        [0, 0],
        len(filters),
        [wanted == 0, wanted == 1, False],
    )
    found: Tensor = both[wanted]
    return found
