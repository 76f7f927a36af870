"""Gradients of depthwise convolutions in bfloat16 on a processor."""

import pytest
import torch
from torch import Tensor, nn

from worker.engine.loop.depthwise import fast_depthwise

CPU = torch.device("cpu")


def gradients(layer: nn.Conv2d, images: Tensor, *, is_fast: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The output, and the gradients of the images and the filters."""
    shown = images.clone().requires_grad_()
    layer.zero_grad()
    with (
        torch.autocast("cpu", torch.bfloat16),
        fast_depthwise(CPU, torch.bfloat16 if is_fast else None),
    ):
        answer = layer(shown)
        loss = answer.float().square().mean()
    loss.backward()
    assert shown.grad is not None
    assert layer.weight.grad is not None
    return answer.detach(), shown.grad, layer.weight.grad.clone()


@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_they_equal_those_of_torch_within_bfloat16(kernel: int, stride: int) -> None:
    torch.manual_seed(1)
    layer = nn.Conv2d(8, 8, kernel, stride=stride, padding=kernel // 2, groups=8, bias=False)
    images = torch.randn(4, 8, 12, 12)

    ours, torchs = gradients(layer, images, is_fast=True), gradients(layer, images, is_fast=False)

    assert torch.equal(ours[0], torchs[0])
    for mine, theirs in zip(ours[1:], torchs[1:], strict=True):
        assert mine.dtype is torch.float32
        assert float((mine - theirs).norm() / theirs.norm()) < 0.02


def test_wide_filters_get_the_gradient_that_float32_gives() -> None:
    torch.manual_seed(1)
    layer = nn.Conv2d(8, 8, 5, padding=2, groups=8, bias=False)
    # Numbers that bfloat16 holds exactly, so that only the sum over all of them could be rough.
    images = torch.randint(-3, 4, (4, 8, 12, 12)).float()

    with torch.autocast("cpu", torch.bfloat16), fast_depthwise(CPU, torch.bfloat16):
        layer(images).sum().backward()

    exact = nn.functional.conv2d(images, torch.ones(8, 1, 1, 1), groups=8)
    assert layer.weight.grad is not None
    assert layer.weight.grad[:, 0, 2, 2].tolist() == exact.sum((0, 2, 3)).tolist()


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(8, 8, 3, padding=1),
        nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=True),
        nn.Conv2d(8, 16, 3, padding=1, groups=8, bias=False),
        nn.Conv2d(8, 8, 3, padding="same", groups=8, bias=False),
    ],
    ids=["no-groups", "bias", "more-filters", "padding-by-name"],
)
def test_other_convolutions_are_torchs_own(layer: nn.Conv2d) -> None:
    torch.manual_seed(1)
    images = torch.randn(2, 8, 6, 6)

    ours, torchs = gradients(layer, images, is_fast=True), gradients(layer, images, is_fast=False)

    assert all(torch.equal(mine, theirs) for mine, theirs in zip(ours, torchs, strict=True))
