"""What a frozen backbone says of images, computed once instead of every epoch.

While nothing in the backbone learns, its answer to a view of an image stays the
same. A frozen stage therefore shows the head two random views of each image in
turn (measured on 592 images: more views gave no better head), and the head
learns from stored features in milliseconds a step.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from backend.domain.training import FROZEN_VIEWS
from backend.imaging.preprocessing import Preprocessing
from worker.engine.architectures import Classifier
from worker.engine.data import LabelledImages, Unreadable, Views, batches_of_epoch, in_order, to_input

MAX_BYTES: Final = 2_000_000_000
"""Features of larger training sets are not stored; their backbone runs every epoch."""


def fit_into_memory(images: int, features: int) -> bool:
    """Whether the pooled features of so many images can be kept: float32, maximum and average of each channel."""
    return images * 2 * features * 4 * FROZEN_VIEWS <= MAX_BYTES


@dataclass(frozen=True, slots=True)
class Features:
    """Features of the readable ones of a list's images.

    Attributes:
        values: (N, 2C) float32 on the device.
        targets: (N,) int64 on the device.
        places: N places in the list of images.
    """

    values: Tensor
    targets: Tensor
    places: list[int]


def compute(
    model: Classifier,
    views: Views,
    preprocessing: Preprocessing,
    *,
    view: int,
    device: torch.device,
    on_batch: Callable[[int, list[Unreadable]], None],
) -> Features:
    """Features of one view of every image; batches are always cut alike, so that a repetition gives equal bits."""
    model.eval()
    values, targets, places = [], [], []
    done = 0
    with torch.no_grad():
        for batch in in_order(views, view=view, device=device):
            done += len(batch.places) + len(batch.unreadable)
            on_batch(done, batch.unreadable)
            if not batch.places:
                continue
            values.append(model.features(to_input(batch.pixels, preprocessing, device)).float())
            targets.append(batch.targets.to(device))
            places += batch.places
    return Features(torch.cat(values), torch.cat(targets), places)


class FeatureBatches:
    """Training batches of stored features, in the same order as batches of images would come."""

    def __init__(
        self,
        labelled: LabelledImages,
        compute_view: Callable[[int], Features],
        batch_size: int,
        *,
        seed: int,
        stage: int,
        is_balanced: bool = False,
    ) -> None:
        self.images = len(labelled)
        self._classes = labelled.targets if is_balanced else None
        self._compute_view = compute_view
        self._batch_size, self._seed, self._stage = batch_size, seed, stage
        self._known: dict[int, Features] = {}

    def of(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """(N, 2C) features and (N,) targets of one epoch's batches, on the device, from a step on."""
        view = epoch % FROZEN_VIEWS
        if view not in self._known:
            self._known[view] = self._compute_view(view)
        features = self._known[view]
        row_of = {place: row for row, place in enumerate(features.places)}
        batches = batches_of_epoch(
            self.images,
            self._batch_size,
            seed=self._seed,
            stage=self._stage,
            epoch=epoch,
            balanced_by=self._classes,
        )
        for batch in batches[first_step:]:
            rows = [row_of[place] for place in batch if place in row_of]
            yield features.values[rows], features.targets[rows]
