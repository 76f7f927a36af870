"""Features of a frozen backbone, computed once instead of in every epoch.

While nothing in the backbone is trained, its features of a view of an image stay the
same. A frozen stage therefore computes them once for a few random views of each image, and
the head is trained on them in milliseconds a step. They are kept on disk for the next
training, the learning-rate finder and the next version of the dataset.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from backend.domain.ids import Digest
from backend.domain.manifest import ManifestImage
from backend.domain.training import FROZEN_VIEWS, Augmentation
from backend.imaging.preprocessing import Pixels
from worker.engine.data.batches import LabelledImages, Views, batches_of_epoch
from worker.engine.data.source import Unreadable
from worker.engine.frozen.feature_store import FeatureStore, Group
from worker.engine.frozen.runtimes import Answer, FrozenLayers
from worker.engine.loop.evaluation import Answers, OnBatch
from worker.engine.network.architectures import Classifier
from worker.engine.parallel.ranks import ALONE, Ranks

MAX_BYTES: Final = 2_000_000_000
"""Features of larger training sets are not held in memory; their backbone runs every epoch."""

_PIXELS: Final = 3
"""Version of how views are made; to be raised whenever equal settings no longer give equal pixels."""

_LOOK_EVERY: Final = 8
"""Images between two checks of the stop signal."""


def fit_into_memory(images: int, features: int, views: int = FROZEN_VIEWS) -> bool:
    """Whether the pooled features of so many images can be kept: float32, maximum and average of each channel."""
    return images * 2 * features * 4 * views <= MAX_BYTES


@dataclass(frozen=True, slots=True)
class Features:
    """Features of the readable ones of a list's images.

    Attributes:
        values: (N, ...) float32 on the device: (N, 2C) of a whole backbone.
        targets: (N,) int64 on the device.
        indices: N indices in the list of images.
    """

    values: Tensor
    targets: Tensor
    indices: list[int]


@dataclass(frozen=True, slots=True)
class ViewRequest:
    """One view of every image of a list, of which frozen layers are to compute the output.

    Attributes:
        view: number of the random view; without effect on the evaluation's.
        is_learnt_from: the output is trained on and may be of lower precision; else it is evaluated on.
    """

    views: Views
    view: int = 0
    is_learnt_from: bool = False


class Source:
    """Output of frozen layers for views of images, from the disk or from the layers.

    A view is decided by the augmentation, the seed, the stage's number in its lineage, the view's
    number and the image: not by the run or the version of the dataset.

    Args:
        judging: the layers in float32.
        learnt_from: the layers in the precision of answers that are learnt from; may be the same.
        ranks: the processes that share what must be computed.
    """

    def __init__(
        self, judging: FrozenLayers, learnt_from: FrozenLayers, store: FeatureStore, ranks: Ranks = ALONE
    ) -> None:
        self._judging, self._learnt_from = judging, learnt_from
        self._store, self._ranks = store, ranks

    def kept(
        self,
        images: Iterable[ManifestImage],
        *,
        view: int = 0,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        stage: int = 0,
        is_learnt_from: bool = False,
    ) -> dict[Digest, Answer]:
        """The answers to a view of these images that lie on the disk."""
        group = self._group(self._layers(is_learnt_from), augmentation, seed, stage, view)
        return group.known(image.digest for image in images)

    def plain_group(self) -> Group:
        """The kept answers to the evaluation's view of any image."""
        return self._group(self._judging, None, 0, 0, 0)

    def compute(self, views: Views, indices: Sequence[int], on_batch: OnBatch) -> Iterator[Answer]:
        """Compute and keep the answers to the evaluation's view of some images, one by one; not of unreadable ones."""
        for _, answer in self._answers(ViewRequest(views), indices, on_batch):
            yield answer

    def missing(self, request: ViewRequest) -> int:
        """Of how many images the answers must be computed."""
        return len(request.views.labelled) - len(self._kept_of(request))

    def of(self, request: ViewRequest, *, device: torch.device, on_batch: OnBatch) -> Features:
        """The answers to one view of every readable image; ``on_batch`` is called while some are computed."""
        labelled = request.views.labelled
        # What lies on the disk may change meanwhile: the first process decides what is left to do.
        found = self._ranks.from_first(lambda: self._kept_by_index(request))
        if left := [index for index in range(len(labelled)) if index not in found]:
            for part in self._ranks.gather(lambda: self._computed(request, self._ranks.part_of(left), on_batch)):
                found |= part
        return _stacked(found, labelled, device)

    def _kept_by_index(self, request: ViewRequest) -> dict[int, Answer]:
        known = self._kept_of(request)
        images = enumerate(request.views.labelled.images)
        return {index: known[image.digest] for index, image in images if image.digest in known}

    def _layers(self, is_learnt_from: bool) -> FrozenLayers:
        return self._learnt_from if is_learnt_from else self._judging

    def _kept_of(self, request: ViewRequest) -> dict[Digest, Answer]:
        views = request.views
        return self.kept(
            views.labelled.images,
            view=request.view,
            augmentation=views.augmentation,
            seed=views.seed,
            stage=views.stage,
            is_learnt_from=request.is_learnt_from,
        )

    def _group(
        self, layers: FrozenLayers, augmentation: Augmentation | None, seed: int, stage: int, view: int
    ) -> Group:
        view_key = "evaluation" if augmentation is None else f"{augmentation!r} {seed} {stage} {view}"
        view_key += f" pixels {_PIXELS}"
        return self._store.group(layers.identity, repr(layers.preprocessing), view_key, layers.runtime_name)

    def _computed(self, request: ViewRequest, indices: Sequence[int], on_batch: OnBatch) -> dict[int, Answer]:
        return dict(self._answers(request, indices, on_batch))

    def _answers(self, request: ViewRequest, indices: Sequence[int], on_batch: OnBatch) -> Iterator[tuple[int, Answer]]:
        """Compute the answers of these images and keep them; each with its index."""
        views, view, layers = request.views, request.view, self._layers(request.is_learnt_from)
        waiting: deque[int] = deque()
        unreadable: list[Unreadable] = []
        skipped = 0

        def pixels() -> Iterator[Pixels]:
            for index, made in zip(indices, views_ahead(views, view, indices), strict=True):
                if isinstance(made, Unreadable):
                    unreadable.append(made)
                else:
                    waiting.append(index)
                    yield made

        done = 0
        group: Group | None = None
        try:
            for answer in layers.answers(pixels()):
                index = waiting.popleft()
                done += 1
                # Only now is it sure which runtime answers.
                group = group or self._group(layers, views.augmentation, views.seed, views.stage, view)
                group.add(views.labelled.images[index].digest, answer)
                yield index, answer
                if done % _LOOK_EVERY == 0:
                    skipped += len(unreadable)
                    on_batch(done + skipped, unreadable)
                    unreadable = []
        finally:
            if group is not None:
                group.flush()
        on_batch(len(indices), unreadable)


def views_ahead(views: Views, view: int, indices: Iterable[int]) -> Iterator[Pixels | Unreadable]:
    """A view of each of the images, in order; threads make a few of them in advance."""
    # Pillow lets go of Python's lock while it decodes, resizes and turns, so threads do.
    workers = min(8, os.cpu_count() or 1)
    ahead: deque[Future[Pixels | Unreadable]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for index in indices:
                ahead.append(pool.submit(partial(_view_of, views, view, index)))
                if len(ahead) > 4 * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _view_of(views: Views, view: int, index: int) -> Pixels | Unreadable:
    return views[view, index][2]


def _stacked(found: dict[int, Answer], labelled: LabelledImages, device: torch.device) -> Features:
    indices = sorted(found)
    values = np.stack([found[index] for index in indices]) if indices else np.empty((0, 1), np.float32)
    targets = torch.tensor([labelled.targets[index] for index in indices], dtype=torch.int64)
    return Features(torch.from_numpy(values).to(device), targets.to(device), indices)


class EpochRows:
    """Which rows of stored answers make the batches of an epoch, in the order in which batches of images would come."""

    def __init__(
        self,
        labelled: LabelledImages,
        batch_size: int,
        *,
        seed: int,
        stage: int,
        is_balanced: bool = False,
        ranks: Ranks = ALONE,
    ) -> None:
        self._images, self._batch_size = len(labelled), batch_size
        self._seed, self._stage, self._ranks = seed, stage, ranks
        self._classes = labelled.targets if is_balanced else None

    def of(self, epoch: int, indices: Sequence[int], first_step: int) -> Iterator[list[int]]:
        """For each batch from a step on, the rows whose ``indices`` it has; what couldn't be read has no row.

        Of several processes each has its part of every batch.
        """
        row_of = {index: row for row, index in enumerate(indices)}
        batches = batches_of_epoch(
            self._images,
            self._batch_size,
            seed=self._seed,
            stage=self._stage,
            epoch=epoch,
            balanced_by=self._classes,
        )
        for batch in batches[first_step:]:
            yield self._ranks.part_of([row_of[index] for index in batch if index in row_of])


class FeatureBatches:
    """Training batches of features; the ``views`` take turns from epoch to epoch."""

    def __init__(self, views: Sequence[Features], rows: EpochRows) -> None:
        self._views, self._rows = views, rows

    def of(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """(N, 2C) features and (N,) targets of one epoch's batches, on the device, from a step on."""
        features = self._views[epoch % len(self._views)]
        for rows in as_indexes(self._rows.of(epoch, features.indices, first_step), features.values.device):
            yield features.values[rows], features.targets[rows]


def as_indexes(batches: Iterable[list[int]], device: torch.device) -> Iterator[Tensor]:
    """(N,) int64 rows of each batch, brought to the device all at once: a GPU would wait for every single one."""
    rows = list(batches)
    together = torch.tensor([row for batch in rows for row in batch], dtype=torch.int64).to(device)
    return iter(torch.split(together, [len(batch) for batch in rows]))


_HEAD_BATCH = 1024


def from_features(features: Features) -> Answers:
    """Answers that run the head alone."""

    def answers(model: Classifier, on_batch: OnBatch, ranks: Ranks = ALONE) -> Iterator[tuple[list[int], Tensor]]:
        part = ranks.part_of(range(len(features.indices)))
        for start in part[::_HEAD_BATCH]:
            rows = slice(start, min(start + _HEAD_BATCH, part.stop))
            on_batch(rows.stop - part.start, [])
            yield features.indices[rows], model.head(features.values[rows])

    return answers
