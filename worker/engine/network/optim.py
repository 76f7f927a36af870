"""Which parameters learn in a stage, and how fast."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import AdamW

from backend.domain.schedule import group_rates, one_cycle, one_cycle_momentum
from backend.domain.training import Stage, TrainingConfig
from worker.engine.network.architectures import Classifier


def set_learning(model: Classifier, stage: Stage) -> None:
    """Choose the parameters that learn: all above the frozen blocks; or the head and, where wanted, batch norm."""
    for parameter in model.parameters():
        parameter.requires_grad_(not stage.freeze)
    for block in _frozen_blocks(model, stage):
        block.requires_grad_(False)
    model.head.requires_grad_(True)
    if stage.freeze and stage.train_batch_norm:
        for module in batch_norms(model.backbone):
            module.requires_grad_(True)


def set_training_mode(model: Classifier, stage: Stage) -> None:
    """Put every layer into the mode that the stage's steps need.

    Without ``train_batch_norm`` the backbone normalises with the statistics it
    came with, as small batches give bad ones. Frozen blocks stay as they are in
    any case.
    """
    model.train()
    for block in _frozen_blocks(model, stage):
        block.eval()
    if stage.train_batch_norm:
        return
    if stage.freeze:
        model.backbone.eval()
    for module in batch_norms(model.backbone):
        module.eval()


def _frozen_blocks(model: Classifier, stage: Stage) -> list[nn.Sequential]:
    return [] if stage.freeze else model.blocks()[: stage.frozen_blocks]


def build_optimizer(model: Classifier, stage: Stage, config: TrainingConfig) -> AdamW:
    """Adam with decoupled weight decay over all that learns, in groups by layer group and decay.

    Each group carries its ``layer_group``, for ``set_rates``.
    """
    groups, spared_by_network = [], model.never_decaying()
    for group, part in enumerate(model.layer_groups()):
        exempt = set() if config.decay_batch_norm else _without_decay(part) | spared_by_network
        learning = [parameter for parameter in part.parameters() if parameter.requires_grad]
        decaying = [parameter for parameter in learning if parameter not in exempt]
        spared = [parameter for parameter in learning if parameter in exempt]
        groups += [
            {"params": parameters, "weight_decay": decay, "layer_group": group}
            for parameters, decay in ((decaying, config.weight_decay), (spared, 0.0))
            if parameters
        ]
    # Fused: a head's step takes two thirds of the time, and a GPU can leave a bad one out without being looked at.
    return AdamW(groups, betas=config.adam_betas, eps=config.adam_epsilon, fused=True)


def set_rates(
    optimizer: AdamW, stage: Stage, *, layer_groups: int, progress: float, factor: float = 1.0
) -> tuple[float, float]:
    """Set rate and momentum for the step at ``progress`` of the stage; returns the head's rate and the momentum.

    All rates are multiplied by ``factor``.
    """
    shape = {"warmup": stage.warmup, "start_div": stage.start_div, "final_div": stage.final_div}
    rates = [factor * one_cycle(progress, peak=peak, **shape) for peak in group_rates(stage.peak, layer_groups)]
    momentum = one_cycle_momentum(progress, high=stage.momentum_high, low=stage.momentum_low, warmup=stage.warmup)
    for group in optimizer.param_groups:
        group["lr"] = rates[group["layer_group"]]
        group["betas"] = (momentum, group["betas"][1])
    return rates[-1], momentum


def batch_norms(part: nn.Module) -> list[nn.Module]:
    """All layers of a part that normalise by their batch."""
    return [module for module in part.modules() if isinstance(module, _BatchNorm)]


def _without_decay(part: nn.Module) -> set[nn.Parameter]:
    """Batch norm's parameters and every bias. Source: fastai ``norm_bias_params``."""
    spared = {parameter for module in batch_norms(part) for parameter in module.parameters()}
    return spared | {parameter for name, parameter in part.named_parameters() if name.endswith("bias")}
