"""How far training has moved the pretrained layers."""

import math

import torch
from torch import Tensor, nn

from backend.domain.inside import Comparison
from worker.engine.network.architectures import Classifier


def comparison_of(before: Classifier, after: Classifier) -> Comparison:
    """Whether filters, only batch norm or nothing of the pretrained layers has changed."""
    old = before.backbone.state_dict()
    changed = [name for name, tensor in after.backbone.state_dict().items() if not torch.equal(tensor, old[name])]
    if not changed:
        return Comparison.UNCHANGED
    norms = {
        f"{name}.{key}"
        for name, module in after.backbone.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        for key in module.state_dict()
    }
    return Comparison.BATCH_NORM if norms.issuperset(changed) else Comparison.CHANGED


def weight_change(before: nn.Module, after: nn.Module) -> float | None:
    """Length of the difference of all weights, of their length before; vectors, such as batch norm's, are left out.

    None where there are none.
    """
    old = dict(before.named_parameters())
    pairs = [(old[name], new) for name, new in after.named_parameters() if new.ndim > 1]
    length = _length([one for one, _ in pairs])
    return _length([new - one for one, new in pairs]) / length if length else None


def _length(tensors: list[Tensor]) -> float:
    return math.sqrt(sum(float(tensor.detach().double().pow(2).sum()) for tensor in tensors))


def first_filters(model: Classifier) -> Tensor | None:
    """(F, 3, k, k) weights of the convolution that meets the picture; None where there is none over RGB."""
    first = next((part for part in model.backbone.modules() if isinstance(part, nn.Conv2d)), None)
    return first.weight.detach() if first is not None and first.weight.shape[1] == 3 else None
