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
from worker.engine.parallel.ranks import ALONE, Ranks

OnBatch = Callable[[int, list[Unreadable]], None]
"""Called with how many images are done, and which of them, since the last call, can't be read."""


class Answers(Protocol):
    """The logits of all images of a split, batch by batch, with the images' indices in their list."""

    def __call__(
        self, model: Classifier, on_batch: OnBatch, ranks: Ranks = ALONE
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Yield indices and (N, K) logits of this process's part; the model is in evaluation mode."""
        ...


def from_images(
    views: Views, preprocessing: Preprocessing, device: torch.device, limits: MemoryLimits, *, view: int = 0
) -> Answers:
    """Answers that run the whole network."""

    def answers(model: Classifier, on_batch: OnBatch, ranks: Ranks = ALONE) -> Iterator[tuple[list[int], Tensor]]:
        done, part = 0, ranks.part_of(range(len(views.labelled)))
        for batch in in_order(views, view=view, device=device, max_processes=limits.loader_processes, indices=part):
            done += len(batch.indices) + len(batch.unreadable)
            on_batch(done, batch.unreadable)
            if batch.indices:
                yield batch.indices, limits.answers(model, to_input(batch.pixels, preprocessing, device))

    return answers


def evaluate(
    model: Classifier,
    answers: Answers,
    labelled: LabelledImages,
    classes: tuple[str, ...],
    *,
    on_batch: OnBatch,
    ranks: Ranks = ALONE,
) -> Evaluation:
    """Probabilities for every readable image, without augmentation, in float32; each process answers a part of them."""

    def answered() -> tuple[list[int], Tensor]:
        indices: list[int] = []
        probabilities: list[Tensor] = []
        with torch.no_grad():
            for batch_indices, logits in answers(model, on_batch, ranks):
                indices += batch_indices
                probabilities.append(torch.softmax(logits.float(), dim=1).cpu())
        return indices, torch.cat(probabilities) if probabilities else torch.empty(0, len(classes))

    model.eval()
    parts = ranks.gather(answered)
    indices = [index for part, _ in parts for index in part]
    return Evaluation(
        classes=classes,
        image_ids=tuple(labelled.images[index].id for index in indices),
        probabilities=torch.cat([probabilities for _, probabilities in parts]).numpy(),
        targets=np.array([labelled.targets[index] for index in indices], dtype=np.int64),
    )
