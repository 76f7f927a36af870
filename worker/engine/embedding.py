"""Features of pictures that nobody has labelled yet: computed once when they arrive, for all that needs them later.

They are those that a frozen stage learns from and is evaluated on (``Stage.sees_plain_view``), in the same store.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.domain.events import Event
from backend.domain.ids import Digest
from backend.domain.manifest import ManifestImage
from worker.engine.checkpoints.export import exported_body
from worker.engine.data.batches import LabelledImages, Views
from worker.engine.data.source import ImageSource, Unreadable, preprocessing_of
from worker.engine.frozen.compute import features_source
from worker.engine.frozen.features import Source
from worker.engine.hardware import devices
from worker.engine.order import Stopped, StopSignal, TrainingOrder
from worker.engine.recipe import first_model, memory_limits

DIMENSIONS: Final = 128
"""Of an embedding: enough to tell copies and neighbours, a tenth of what features take."""
_FITTED_ON: Final = 5_000
"""Pictures from which the directions of the embedding are computed."""

OnProgress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is in the store after a look at pictures.

    Attributes:
        group: name of the group of features in the store.
        digests: (N,) of the pictures of which it has features, those that can't be read left out.
        embeddings: (N, D <= 128) float32, rows of length 1; see ``embed``.
    """

    group: str
    digests: tuple[Digest, ...]
    embeddings: NDArray[np.float32]


class Embedder:
    """Computes and keeps the features of an order's pictures with the network and preprocessing of its config.

    A training finds them if it runs the same layers in the same way, which depends on how many pictures there are.
    """

    def __init__(self, order: TrainingOrder, stop: StopSignal) -> None:
        device = devices.choose(order.device)
        devices.make_repeatable(device)
        model = devices.to_device(first_model(order, None, _ignore, stop), device)
        steps = preprocessing_of(order.config)
        self._images = ImageSource(order.open_bytes, steps)
        self._source: Source = features_source(order, model, steps, memory_limits(order, device, _ignore), _ignore)
        self._stop, self._order, self._model, self._steps = stop, order, model, steps

    @property
    def images(self) -> tuple[ManifestImage, ...]:
        """The order's pictures."""
        return self._order.manifest.images

    def known(self) -> set[Digest]:
        """Pictures whose features are in the store."""
        return {digest for part in self._source.plain_group().parts() for digest in part}

    def compute(self, images: Sequence[ManifestImage], on_progress: OnProgress) -> list[Unreadable]:
        """Compute and keep the features of these pictures; those that can't be read.

        ``on_progress`` is called with the number of pictures done, every few pictures.

        Raises:
            Stopped: the features computed so far are kept.
        """
        unreadable: list[Unreadable] = []

        def on_batch(done: int, found: list[Unreadable]) -> None:
            unreadable.extend(found)
            on_progress(done)

        views = Views(self._images, LabelledImages(tuple(images), (0,) * len(images)))
        for _ in self._source.compute(views, range(len(images)), on_batch):
            if self._stop.requested():
                raise Stopped
        return unreadable

    def keep_export(self) -> None:
        """Keep the exported backbone as well, with which the first training's model is exported."""
        if self._order.features_folder is not None and next(self._model.parameters()).device.type == "cpu":
            exported_body(self._model.eval(), self._steps, self._order.features_folder)

    def embeddings(self, wanted: Sequence[Digest]) -> Kept:
        """The features of these pictures in few dimensions, of those that the store has."""
        group = self._source.plain_group()
        basis = _Basis.of(_sample(group.parts(), set(wanted)))
        found: dict[Digest, NDArray[np.float32]] = {}
        left = set(wanted)
        for part in group.parts():
            if here := sorted(left & part.keys()):
                found |= zip(here, basis.embed(_averages([part[digest] for digest in here])), strict=True)
                left -= set(here)
        digests = tuple(digest for digest in wanted if digest in found)
        rows = [found[digest] for digest in digests]
        return Kept(group.name or "", digests, np.stack(rows) if rows else np.empty((0, 1), np.float32))


@dataclass(frozen=True, slots=True)
class _Basis:
    """The directions in which the pictures of a dataset differ most: (F,) mean and (F, D) orthonormal columns."""

    mean: NDArray[np.float32]
    directions: NDArray[np.float32]

    @classmethod
    def of(cls, averages: NDArray[np.float32]) -> "_Basis":
        """Principal components of (N, F) features."""
        mean = averages.mean(axis=0) if len(averages) else np.zeros(averages.shape[1], np.float32)
        centred = averages - mean
        # Of the smaller of both products; the largest values come last.
        _, vectors = np.linalg.eigh(centred.T @ centred)
        return cls(mean, np.ascontiguousarray(vectors[:, ::-1][:, :DIMENSIONS], dtype=np.float32))

    def embed(self, averages: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) rows of length 1, whose products say how alike pictures are."""
        found = (averages - self.mean) @ self.directions
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)


def _sample(parts: Iterable[Mapping[Digest, NDArray[np.float32]]], wanted: Set[Digest]) -> NDArray[np.float32]:
    found: list[NDArray[np.float32]] = []
    for part in parts:
        found += [part[digest] for digest in sorted(wanted & part.keys())]
        if len(found) >= _FITTED_ON:
            break
    return _averages(found[:_FITTED_ON])


def _averages(features: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(N, C): of features (2C,) the half that is an average over the picture; the other is a maximum."""
    if not features:
        return np.zeros((0, 1), np.float32)
    whole = np.stack(features)
    return whole[:, whole.shape[1] // 2 :]


def _ignore(_event: Event) -> None:
    pass
