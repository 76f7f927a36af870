"""What is done about classes with unequal numbers of images."""

from collections import Counter
from collections.abc import Sequence

import torch

from backend.domain.training import ClassBalance, TrainingConfig
from worker.engine.data.batches import LabelledImages
from worker.engine.loop.run import Criterion


def criterion_of(config: TrainingConfig, train: LabelledImages, classes: int, device: torch.device) -> Criterion:
    """The loss that a config wants for these images."""
    weights = None
    if config.class_balance is ClassBalance.WEIGHTED_LOSS:
        weights = torch.tensor(class_weights(train.targets, classes), device=device)
    return Criterion(weights, config.label_smoothing)


def class_weights(targets: Sequence[int], classes: int) -> list[float]:
    """How much a mistake about each class counts: the rarer the more, 1 in the mean over images.

    Source: scikit-learn's ``class_weight="balanced"``, n / (k n_c). A class without
    images counts 1: no mistake about it can occur.
    """
    times = Counter(targets)
    return [len(targets) / (len(times) * times[index]) if times[index] else 1.0 for index in range(classes)]
