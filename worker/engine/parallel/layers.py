"""Layers whose answer to an image depends on the whole batch, of which each process computes some rows.

Dropout draws the random numbers of the whole batch in each process and takes those of its rows. Batch norm that
learns takes mean and variance over the rows of all processes. The names of the layers and their numbers stay what they
are: what is hashed, saved and exported is as with one process.

torch's ``SyncBatchNorm`` does the latter on GPUs alone, and waits for ever for a process whose memory ran out.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from worker.engine.parallel.ranks import OutOfMemoryElsewhere, Share


class Peers(Protocol):
    """What a layer needs of the other processes."""

    def any(self, is_so: bool) -> bool:
        """Whether it is so in one of the processes."""
        ...

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a tensor over the processes."""
        ...


Shared = Callable[[], Share | None]
"""The rows of the next forward pass; None while this process works for itself."""


def share_layers(model: nn.Module, peers: Peers, share: Shared) -> None:
    """Make a network's layers of dropout and batch norm see the whole batch."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            _become(module, _RowsOfDropout, share=share)
        elif isinstance(module, _BatchNorm):
            # Within a function: a copy of the network must not copy them.
            _become(module, _NormOverAll, peers=lambda: peers, share=share)


def _become(module: nn.Module, mixin: type[nn.Module], **given: Callable[[], object]) -> None:
    """Give a layer the forward pass of the mixin; under its old name, as a network's hash contains that."""
    plain = type(module)
    module.__class__ = type(plain.__name__, (mixin, plain), {})
    vars(module).update(given)


class _RowsOfDropout(nn.Dropout):
    share: Shared

    def forward(self, input: Tensor) -> Tensor:
        share = self.share()
        if share is None or not self.training:
            return super().forward(input)
        of_all = torch.ones((share.total, *input.shape[1:]), dtype=input.dtype, device=input.device)
        return input * F.dropout(of_all, self.p, training=True)[share.rows]


class _NormOverAll(_BatchNorm):
    peers: Callable[[], Peers]
    share: Shared

    def forward(self, input: Tensor) -> Tensor:
        if self.share() is None or not self.training:
            return super().forward(input)
        assert self.running_mean is not None, "all of ours keep statistics"
        assert self.running_var is not None, "as above"
        assert self.num_batches_tracked is not None, "as above"
        normal, mean, variance, values = _normalised(input.float(), self.weight, self.bias, self.eps, self.peers())
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum or 0.0)
            self.running_var.lerp_(variance * (values / (values - 1).clamp(min=1)), self.momentum or 0.0)
        answer = normal.to(input.dtype)
        for name in ("drop", "act"):  # timm's layers of batch norm contain what follows
            following = getattr(self, name, None)
            answer = answer if following is None else following(answer)
        return answer


def _normalised(
    values: Tensor, weight: Tensor, bias: Tensor, eps: float, peers: Peers
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Normalised values, mean and variance of each channel, and how many values each channel has."""
    answered: tuple[Tensor, Tensor, Tensor, Tensor] = _Normalise.apply(values, weight, bias, eps, peers)
    return answered


class _Normalise(torch.autograd.Function):
    """Batch norm over the rows of all processes. Source: Ioffe and Szegedy, arXiv:1502.03167, as torch has it."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor, eps: float, peers: Peers) -> Any:
        # Any: as torch declares it
        over = [0, *range(2, values.dim())]
        mine = torch.cat(
            [values.sum(over, dtype=torch.float64), values.new_tensor([values.numel() // values.shape[1]])]
        )
        sums = _agreed_sum(peers, mine)
        number = sums[-1]
        mean = (sums[:-1] / number).float()
        centred = values - _spread(mean, values)
        variance = (_agreed_sum(peers, centred.square().sum(over, dtype=torch.float64)) / number).float()
        scale = torch.rsqrt(variance + eps)
        normal = centred * _spread(scale, values)
        ctx.save_for_backward(normal, weight, scale, number)
        ctx.peers, ctx.over = peers, over
        ctx.mark_non_differentiable(mean, variance, number)
        return normal * _spread(weight, values) + _spread(bias, values), mean, variance, number.float()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # Any: as above
        gradient = gradients[0].float()
        normal, weight, scale, number = ctx.saved_tensors
        of_bias = gradient.sum(ctx.over, dtype=torch.float64)
        of_weight = (gradient * normal).sum(ctx.over, dtype=torch.float64)
        sums = _agreed_sum(ctx.peers, torch.stack([of_bias, of_weight])) / number
        shift, slope = sums.float()
        of_values = gradient - _spread(shift, normal) - normal * _spread(slope, normal)
        return of_values * _spread(weight * scale, normal), of_weight.float(), of_bias.float(), None, None


def _agreed_sum(peers: Peers, value: Tensor) -> Tensor:
    """The sum over the processes, unless one of them has no memory for its rows.

    Raises:
        OutOfMemoryElsewhere
    """
    if peers.any(False):
        raise OutOfMemoryElsewhere
    return peers.sum(value)


def _spread(of_channels: Tensor, values: Tensor) -> Tensor:
    return of_channels.view(1, -1, *[1] * (values.dim() - 2))
