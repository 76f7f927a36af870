"""From a manifest to batches: which images, in which order, in which view.

The order of an epoch and the random view of an image are functions of the
seed, the stage of the lineage, the epoch and the image alone. So neither the number of
loader processes nor an interruption changes what a training sees.
"""

import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from backend.domain.ids import Digest
from backend.domain.manifest import Manifest, ManifestImage, Split
from backend.domain.training import Augmentation
from backend.imaging.preprocessing import Pixels, evaluation_view, random_params, training_view
from worker.engine.data.gpu_views import AugmentationBatch, SourceCrop, makes_views, source_crop, stacked, warp_batch
from worker.engine.data.source import ImageSource, Unreadable, to_input
from worker.engine.hardware.copy_stream import Sender
from worker.engine.hardware.devices import MAX_LOADER_PROCESSES, loader_processes
from worker.engine.parallel.ranks import ALONE, Ranks

_EVALUATION_BATCH: Final = 32

Key = tuple[int, int]
"""(epoch, index): which view of which image of a list."""


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """N images of one split that are believed readable, with their targets: (N,) index into the classes."""

    images: tuple[ManifestImage, ...]
    targets: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def of(cls, manifest: Manifest, split: Split, *, without: set[Digest]) -> "LabelledImages":
        """The split's images in the manifest's order, less the unreadable ones."""
        number = {name: index for index, name in enumerate(manifest.classes)}
        images = tuple(image for image in manifest.of(split) if image.digest not in without)
        return cls(images, tuple(number[image.label] for image in images))


@dataclass(frozen=True, slots=True)
class Batch:
    """Images ready for the network.

    Attributes:
        indices: where they are in their list.
        pixels: (N, H, W, 3) uint8.
        targets: (N,) int64.
        unreadable: images of this batch that had to be left out.
        augmentation: how the device is to warp and light the pixels; None where they are ready.
    """

    indices: list[int]
    pixels: Tensor
    targets: Tensor
    unreadable: list[Unreadable] = field(default_factory=list)
    augmentation: AugmentationBatch | None = None

    def pin_memory(self) -> "Batch":
        """The same in page-locked memory, from where a GPU copies faster; called by torch's loader."""
        augmentation = None if self.augmentation is None else self.augmentation.pin_memory()
        return Batch(self.indices, self.pixels.pin_memory(), self.targets.pin_memory(), self.unreadable, augmentation)


class Views(Dataset[tuple[int, int, Pixels | Unreadable]]):
    """Views of images by (epoch, index): random ones given an augmentation, else the evaluation's."""

    def __init__(
        self,
        source: ImageSource,
        labelled: LabelledImages,
        *,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        stage: int = 0,
    ) -> None:
        self.source = source
        self.labelled = labelled
        self.augmentation = augmentation
        self.seed, self.stage = seed, stage

    def __getitem__(self, key: Key) -> tuple[int, int, Pixels | Unreadable]:
        epoch, index = key
        image = self.labelled.images[index]
        whole = self.source.resized(image)
        if isinstance(whole, Unreadable):
            return index, 0, whole
        return index, self.labelled.targets[index], self._view(whole, epoch, image.digest)

    def _view(self, whole: Image.Image, epoch: int, digest: Digest) -> Pixels:
        if self.augmentation is None:
            return evaluation_view(whole, self.source.preprocessing)
        return training_view(whole, self.source.preprocessing, self.augmentation, self.rng_for(epoch, digest))

    def rng_for(self, epoch: int, digest: Digest) -> np.random.Generator:
        """The random numbers of an image's view."""
        return np.random.default_rng([self.seed, self.stage, epoch, int(digest[:16], 16)])


class SourceCrops(Dataset[tuple[int, int, SourceCrop | Unreadable]]):
    """The same random views by (epoch, index), not yet made: for a device that makes them."""

    def __init__(self, views: Views, augmentation: Augmentation) -> None:
        self.views, self.augmentation = views, augmentation

    def __getitem__(self, key: Key) -> tuple[int, int, SourceCrop | Unreadable]:
        epoch, index = key
        image, preprocessing = self.views.labelled.images[index], self.views.source.preprocessing
        whole = self.views.source.resized(image)
        if isinstance(whole, Unreadable):
            return index, 0, whole
        look = random_params(whole.size, preprocessing, self.augmentation, self.views.rng_for(epoch, image.digest))
        return index, self.views.labelled.targets[index], source_crop(whole, look, preprocessing.size)


def batches_of_epoch(
    images: int, batch_size: int, *, seed: int, stage: int, epoch: int, balanced_by: Sequence[int] | None = None
) -> list[list[int]]:
    """The indices of all images in a random order, cut into batches.

    Given the images' classes, every class is drawn equally often instead, with as many
    draws as there are images. A last batch of a single image is left out, since batch
    norm can't learn from one.
    """
    random = np.random.default_rng([seed, stage, epoch])
    order = random.permutation(images).tolist() if balanced_by is None else _balanced_draw(balanced_by, random)
    batches = [order[start : start + batch_size] for start in range(0, images, batch_size)]
    return batches[:-1] if len(batches[-1]) == 1 else batches


def _balanced_draw(classes: Sequence[int], random: np.random.Generator) -> list[int]:
    """As many indices as there are images, each class equally often, in a random order.

    Within a class every image comes once before any comes twice. What can't be shared
    out equally falls to classes by chance.
    """
    by_class = [np.flatnonzero(np.array(classes) == name) for name in sorted(set(classes))]
    each, rest = divmod(len(classes), len(by_class))
    favoured = random.permutation(len(by_class))[:rest].tolist()
    drawn: list[int] = []
    for number, indices in enumerate(by_class):
        wanted = each + (number in favoured)
        rounds = [random.permutation(indices) for _ in range(-(-wanted // len(indices)))]
        drawn += np.concatenate(rounds)[:wanted].tolist() if rounds else []
    random.shuffle(drawn)
    return drawn


_LONGEST_STAGE: Final = 1000
"""Epochs of a stage at most."""


class EpochOrder(Sampler[list[Key]]):
    """Order of the epoch that ``epoch`` is set to, from ``first_step`` on, for torch's loader.

    Of each batch only this process's part of several.
    """

    def __init__(
        self,
        images: int,
        batch_size: int,
        *,
        seed: int,
        stage: int,
        balanced_by: Sequence[int] | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.images, self.batch_size, self.seed, self.stage = images, batch_size, seed, stage
        self.balanced_by, self._ranks = balanced_by, ranks
        self.epoch = self.first_step = 0

    def __len__(self) -> int:
        return steps_per_epoch(self.images, self.batch_size) - self.first_step

    def __iter__(self) -> Iterator[list[Key]]:
        batches = batches_of_epoch(
            self.images,
            self.batch_size,
            seed=self.seed,
            stage=self.stage,
            epoch=self.epoch,
            balanced_by=self.balanced_by,
        )
        times: Counter[int] = Counter()
        for step, batch in enumerate(batches):
            keys = []
            for index in batch:
                # An image that is drawn again gets the view of an epoch that no stage has, not the same view twice.
                keys.append((self.epoch + times[index] * _LONGEST_STAGE, index))
                times[index] += 1
            if step >= self.first_step:
                yield self._ranks.part_of(keys)


def steps_per_epoch(images: int, batch_size: int) -> int:
    """How many batches ``batches_of_epoch`` makes."""
    whole, rest = divmod(images, batch_size)
    return whole + (rest > 1)


class ImageBatches:
    """Training batches of random views of images; the device makes the views where it is the quicker one."""

    def __init__(
        self,
        views: Views,
        *,
        epochs: int,
        batch_size: int,
        device: torch.device,
        on_unreadable: Callable[[list[Unreadable]], None],
        is_balanced: bool = False,
        made_by_device: bool | None = None,
        max_processes: int = MAX_LOADER_PROCESSES,
        ranks: Ranks = ALONE,
    ) -> None:
        images = len(views.labelled)
        classes = views.labelled.targets if is_balanced else None
        self._order = EpochOrder(
            images, batch_size, seed=views.seed, stage=views.stage, balanced_by=classes, ranks=ranks
        )
        by_device = makes_views(device) if made_by_device is None else made_by_device
        shown = SourceCrops(views, views.augmentation) if by_device and views.augmentation else views
        processes = loader_processes(images, epochs, most=max_processes)
        self._loader = _loader(shown, self._order, processes=processes, device=device)
        self._preprocessing, self._device = views.source.preprocessing, device
        self._sender = Sender(device)
        self._on_unreadable = on_unreadable

    def of(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """(N, 3, H, W) normalised images and (N,) targets of one epoch's batches, on the device, from a step on."""
        self._order.epoch, self._order.first_step = epoch, first_step
        for batch in self._loader:
            self._on_unreadable(batch.unreadable)
            yield self._sender.send(partial(self._on_device, batch))

    def _on_device(self, batch: Batch) -> tuple[Tensor, Tensor]:
        pixels = batch.pixels.to(self._device, non_blocking=True)
        if not len(pixels):
            size = self._preprocessing.size
            pixels = pixels.new_empty(0, size, size, 3)
        if batch.augmentation is not None:
            pixels = warp_batch(pixels, batch.augmentation.to(self._device))
        targets = batch.targets.to(self._device, non_blocking=True)
        return to_input(pixels, self._preprocessing, self._device), targets


def in_order(
    views: Views,
    *,
    view: int,
    device: torch.device,
    max_processes: int = MAX_LOADER_PROCESSES,
    indices: range | None = None,
) -> DataLoader[Any]:
    """Batches of all images once, or of those of the indices, in their order; ``view`` takes the place of the epoch."""
    indices = range(len(views.labelled)) if indices is None else indices
    keys = [
        [(view, index) for index in indices[start : start + _EVALUATION_BATCH]]
        for start in range(0, len(indices), _EVALUATION_BATCH)
    ]
    return _loader(views, keys, processes=loader_processes(len(indices), 1, most=max_processes), device=device)


def _loader(
    views: Views | SourceCrops, keys: Sampler[list[Key]] | list[list[Key]], *, processes: int, device: torch.device
) -> DataLoader[Any]:  # Any: batches are of our own type, which the stub can't express
    return DataLoader(
        views,
        batch_sampler=keys,
        num_workers=processes,
        collate_fn=_collate,
        pin_memory=device.type == "cuda",
        persistent_workers=processes > 0,
        # A generator of its own: else each pass would take from the one that dropout uses.
        generator=torch.Generator(),
        worker_init_fn=_ignore_stop_signals if processes else None,
        multiprocessing_context=_process_start(device) if processes else None,
    )


def _collate(items: list[tuple[int, int, Pixels | SourceCrop | Unreadable]]) -> Batch:
    unreadable = [view for _, _, view in items if isinstance(view, Unreadable)]
    good = [(index, target, view) for index, target, view in items if not isinstance(view, Unreadable)]
    pixels, augmentation = _together([view for _, _, view in good])
    targets = torch.tensor([target for _, target, _ in good], dtype=torch.int64)
    return Batch([index for index, _, _ in good], pixels, targets, unreadable, augmentation)


def _together(views: Sequence[Pixels | SourceCrop]) -> tuple[Tensor, AugmentationBatch | None]:
    crops = [view for view in views if isinstance(view, SourceCrop)]
    if crops:
        return stacked(crops)
    pixels = np.stack([view for view in views if not isinstance(view, SourceCrop)]) if views else _NONE
    return torch.from_numpy(pixels), None


_NONE: Final = np.empty((0, 1, 1, 3), np.uint8)


def _process_start(device: torch.device) -> str:
    # A forked process can't use CUDA's state, and Macs don't bear a fork.
    return "fork" if sys.platform == "linux" and device.type == "cpu" else "spawn"


def _ignore_stop_signals(worker: int) -> None:
    """A stop is sent to the whole process group; the training ends in order, so its loaders must not end first."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
