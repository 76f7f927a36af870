"""The network's answers for images that it is not trained on."""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from backend.domain.results import Evaluation
from backend.imaging.preprocessing import Preprocessing
from worker.engine.data.batches import LabelledImages, Views, in_order
from worker.engine.data.source import Unreadable, to_input
from worker.engine.hardware.memory import MemoryLimits
from worker.engine.network.architectures import Classifier

OnBatch = Callable[[int, list[Unreadable]], None]
"""Called with how many images are done, and which of them, since the last call, can't be read."""


class Answers(Protocol):
    """The logits of all images of a split, batch by batch, with the images' indices in their list."""

    def __call__(self, model: Classifier, on_batch: OnBatch) -> Iterator[tuple[list[int], Tensor]]:
        """Yield indices and (N, K) logits; the model is in evaluation mode."""
        ...


def from_images(
    views: Views, preprocessing: Preprocessing, device: torch.device, limits: MemoryLimits, *, view: int = 0
) -> Answers:
    """Answers that run the whole network."""

    def answers(model: Classifier, on_batch: OnBatch) -> Iterator[tuple[list[int], Tensor]]:
        done = 0
        for batch in in_order(views, view=view, device=device, max_processes=limits.loader_processes):
            done += len(batch.indices) + len(batch.unreadable)
            on_batch(done, batch.unreadable)
            if batch.indices:
                yield batch.indices, limits.answers(model, to_input(batch.pixels, preprocessing, device))

    return answers


def evaluate(
    model: Classifier, answers: Answers, labelled: LabelledImages, classes: tuple[str, ...], *, on_batch: OnBatch
) -> Evaluation:
    """Probabilities for every readable image, without augmentation, in float32."""
    model.eval()
    indices: list[int] = []
    probabilities: list[Tensor] = []
    with torch.no_grad():
        for batch_indices, logits in answers(model, on_batch):
            indices += batch_indices
            probabilities.append(torch.softmax(logits.float(), dim=1).cpu())
    return Evaluation(
        classes=classes,
        image_ids=tuple(labelled.images[index].id for index in indices),
        probabilities=torch.cat(probabilities).numpy(),
        targets=np.array([labelled.targets[index] for index in indices], dtype=np.int64),
    )
