"""Loads what every training loads, and calls once what takes long the first time."""

import warnings

import torch
from torch.nn import functional as F

from backend.domain.training import TrainingRequest, resolve
from worker.engine import recipe  # noqa: F401  # all that a training needs
from worker.engine.network import architectures
from worker.engine.network.optim import build_optimizer, set_learning


def warm_up() -> None:
    """A step of the default network's head on drawn numbers; nothing is kept, and no other device is touched."""
    config = resolve(TrainingRequest())
    stage = config.stages[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = architectures.build(config.entry, 2, last_layer_bias=config.last_layer_bias, seed=0)
        set_learning(model, stage)
        optimizer = build_optimizer(model, stage, config)
        features = torch.zeros(2, 2 * config.entry.features)
        F.cross_entropy(model.head(features), torch.tensor([0, 1])).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
