"""Training above frozen blocks, whose activations are stored instead of computed in every epoch.

A stage with ``frozen_blocks`` trains only the blocks above them. The activations of the frozen ones for
a few random views of each image are computed once, and the others are trained on them.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

import torch
from torch import Tensor

from backend.imaging.preprocessing import Pixels, Preprocessing
from worker.engine.data.source import Unreadable
from worker.engine.frozen.features import EpochRows, ViewRequest, as_indexes, views_ahead
from worker.engine.frozen.runtimes import FrozenLayers
from worker.engine.hardware.memory import EVALUATION_BATCH, MemoryLimits
from worker.engine.loop.evaluation import Answers, OnBatch
from worker.engine.network.architectures import Classifier
from worker.engine.parallel.ranks import ALONE, Ranks

MAX_BYTES: Final = 2_000_000_000
"""Activations of larger sets are not kept; the lower blocks then run every epoch."""

_LARGEST: Final = torch.finfo(torch.float16).max


@dataclass(frozen=True, slots=True)
class Activations:
    """Activations of the frozen blocks for the readable ones of a list's images.

    Attributes:
        values: (N, C, h, w) channels last, or (N, T, C) of tokens, on the device; float16 where they are trained
            on, float32 where they are evaluated on.
        targets: (N,) int64 on the device.
        indices: N indices in the list of images.
    """

    values: Tensor
    targets: Tensor
    indices: list[int]


def fit_into_memory(
    model: Classifier, preprocessing: Preprocessing, *, frozen_blocks: int, learnt: int, judged: int
) -> bool:
    """Whether activations of so many views to learn from and to be judged by can be kept."""
    return _numbers_per_image(model, preprocessing.size, frozen_blocks) * (2 * learnt + 4 * judged) <= MAX_BYTES


def _numbers_per_image(model: Classifier, size: int, frozen_blocks: int) -> int:
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        return math.prod(model.forward_frozen(torch.zeros(1, 3, size, size, device=device), frozen_blocks).shape)


def compute(
    layers: FrozenLayers,
    request: ViewRequest,
    *,
    device: torch.device,
    on_batch: Callable[[int, list[Unreadable]], None],
    ranks: Ranks = ALONE,
) -> Activations:
    """The layers' activations for one view of every readable image; a repetition gives equal bits.

    Each process computes a part of them, and all get all.
    """
    parts: list[tuple[Tensor, list[int]]] = []
    with ranks.agreeing():
        parts.append(_computed(layers, request, ranks.part_of(range(len(request.views.labelled))), on_batch))
    values, mine = parts[0]
    indices = [index for part in ranks.gather(lambda: mine) for index in part]
    # Rows of numbers that lie together, whichever way their images do.
    together = ranks.concatenated(values.movedim(1, -1) if values.dim() == 4 else values)
    together = together.movedim(-1, 1) if together.dim() == 4 else together
    targets = torch.tensor([request.views.labelled.targets[index] for index in indices], dtype=torch.int64)
    return Activations(together.to(device), targets.to(device), indices)


def _computed(
    layers: FrozenLayers,
    request: ViewRequest,
    everywhere: range,
    on_batch: Callable[[int, list[Unreadable]], None],
) -> tuple[Tensor, list[int]]:
    """Activations of the readable ones of these images, and which those are."""
    kept_as = torch.float16 if request.is_learnt_from else torch.float32
    indices, unreadable = list[int](), list[Unreadable]()

    def pixels() -> Iterator[Pixels]:
        for index, shown in zip(everywhere, views_ahead(request.views, request.view, everywhere), strict=True):
            if isinstance(shown, Unreadable):
                unreadable.append(shown)
            else:
                indices.append(index)
                yield shown

    values = torch.empty(0)
    row = skipped = 0
    for row, answer in enumerate(layers.answers(pixels()), 1):
        if row == 1:
            values = _empty_values(len(everywhere), answer.shape, kept_as)
        values[row - 1] = torch.from_numpy(answer).clamp(-_LARGEST, _LARGEST)
        if row % EVALUATION_BATCH == 0:
            skipped += len(unreadable)
            on_batch(row + skipped, unreadable)
            unreadable = []
    on_batch(len(everywhere), unreadable)
    return values[:row], indices


def _empty_values(images: int, shape: tuple[int, ...], kept_as: torch.dtype) -> Tensor:
    """(N, C, h, w), channels last, in which convolutions are fastest; or (N, T, C) of tokens."""
    return torch.empty((images, *shape), dtype=kept_as).contiguous(memory_format=_memory_format(len(shape)))


def _memory_format(axes: int) -> torch.memory_format:
    return torch.channels_last if axes == 3 else torch.contiguous_format


class ActivationBatches:
    """Training batches of stored activations, in the same order as batches of images would come.

    The views take turns from epoch to epoch; each is computed when its first epoch begins.
    """

    def __init__(self, compute_view: Callable[[int], Activations], rows: EpochRows, *, views: int) -> None:
        self._compute_view, self._rows, self._views = compute_view, rows, views
        self._known: dict[int, Activations] = {}

    def of(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """(N, C, h, w) activations and (N,) targets of one epoch's batches, on the device, from a step on."""
        view = epoch % self._views
        if view not in self._known:
            self._known[view] = self._compute_view(view)
        known = self._known[view]
        for rows in as_indexes(self._rows.of(epoch, known.indices, first_step), known.values.device):
            chosen = known.values[rows]
            inputs = chosen.to(torch.float32, memory_format=_memory_format(chosen.ndim - 1))
            yield inputs, known.targets[rows]


def answers_from(known: Activations, *, frozen_blocks: int, limits: MemoryLimits) -> Answers:
    """Answers that run the blocks above the cut alone."""

    def answers(model: Classifier, on_batch: OnBatch, ranks: Ranks = ALONE) -> Iterator[tuple[list[int], Tensor]]:
        upper = partial(model.forward_trainable, frozen_blocks=frozen_blocks)
        part = ranks.part_of(range(len(known.indices)))
        for start in part[::EVALUATION_BATCH]:
            rows = slice(start, min(start + EVALUATION_BATCH, part.stop))
            on_batch(rows.stop - part.start, [])
            yield known.indices[rows], limits.answers(upper, known.values[rows])

    return answers
