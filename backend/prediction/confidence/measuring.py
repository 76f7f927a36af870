"""Learn what a model's own pictures look like to it: their features, computed by a worker."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from backend.datasets.manifests import manifest
from backend.db.session import Database
from backend.domain.confidence.strangeness import LabelledFeatures, familiarity_of
from backend.domain.errors import Conflict
from backend.domain.manifest import ManifestImage, Split
from backend.imaging.errors import Refused
from backend.imaging.pool import DecodingPool
from backend.imaging.preprocessing import Pixels
from backend.imaging.tasks import network_view
from backend.prediction.find import source_of
from backend.prediction.models import Model, ModelCache, ModelSource
from backend.storage.base import Storage
from backend.training.confidence.chosen import keep_familiarity
from backend.training.find import find_checkpoint, find_run

MOST_SHOWN: Final = 1500
"""Training pictures whose features are computed; of more, every n-th. Of many classes more: see ``_EACH``."""
MOST_TESTED: Final = 600
_EACH: Final = 12
_BATCH: Final = 8


class StrangenessUnavailable(Conflict):
    """The model's file doesn't give its features, or there are no pictures to learn them from."""

    code = "strangeness-unavailable"

    def __init__(self, checkpoint_id: str) -> None:
        super().__init__(
            "“None of these” isn't available for this model.",
            advice="It needs a model that was trained by this version of Tellapart, and pictures that can be read. "
            "Train again to get it.",
            details={"checkpoint_id": checkpoint_id},
        )


OnProgress = Callable[[int, int], None]
"""Called with the number of pictures done and of all; what it raises ends the measurement, of which nothing is kept."""


def measure(
    database: Database,
    storage: Storage,
    cache: ModelCache,
    decoders: DecodingPool,
    checkpoint_id: str,
    on_progress: OnProgress,
) -> None:
    """Learn from a checkpoint's training and test pictures what strangeness is measured by, and keep it.

    Raises:
        StrangenessUnavailable
        ModelMissing, ModelDamaged, DecodersBusy, DecodersDown
    """
    with database.read() as session:
        source = source_of(session, storage, checkpoint_id)
        run = find_run(session, find_checkpoint(session, checkpoint_id).run_id)
        images = manifest(session, run.version_id).images
    model = cache.model(source)
    if not model.has_features:
        raise StrangenessUnavailable(checkpoint_id)
    most = max(MOST_SHOWN, _EACH * len(source.classes))
    shown = _some([image for image in images if image.split is Split.TRAIN], most)
    tested = _some([image for image in images if image.split is Split.VALID], MOST_TESTED)
    progress = _Progress(len(shown) + len(tested), on_progress)
    on_progress(0, progress.total)
    parts = [_features(model, source, storage, decoders, some, progress) for some in (shown, tested)]
    if not all(len(part.labels) for part in parts):
        raise StrangenessUnavailable(checkpoint_id)
    found = familiarity_of(*parts)
    with database.write() as session:
        keep_familiarity(session, checkpoint_id, found)


@dataclass(slots=True)
class _Progress:
    total: int
    on_progress: OnProgress
    done: int = 0

    def step(self) -> None:
        self.done += 1
        self.on_progress(self.done, self.total)


def _some(images: Sequence[ManifestImage], most: int) -> Sequence[ManifestImage]:
    # A manifest is ordered by digest, so every n-th is as good as chance.
    return images[:: 1 + (len(images) - 1) // most] if images else images


def _features(
    model: Model,
    source: ModelSource,
    storage: Storage,
    decoders: DecodingPool,
    images: Sequence[ManifestImage],
    progress: _Progress,
) -> LabelledFeatures:
    """Features of the pictures that can be read."""
    number = {name: index for index, name in enumerate(source.classes)}
    known = (image for image in images if image.label in number)
    views = _views(source, storage, decoders, known, progress)
    values, labels = [np.zeros((0, 1), np.float32)], list[int]()
    while batch := list(islice(views, _BATCH)):
        _, features = model.probabilities_and_features([view for _, view in batch])
        values.append(features)
        labels += [number[image.label] for image, _ in batch]
    return LabelledFeatures(np.concatenate(values[1:] or values), np.array(labels, dtype=np.int64))


def _views(
    source: ModelSource,
    storage: Storage,
    decoders: DecodingPool,
    images: Iterator[ManifestImage],
    progress: _Progress,
) -> Iterator[tuple[ManifestImage, Pixels]]:
    def call(image: ManifestImage) -> tuple[Callable[..., Pixels], tuple[object, ...]] | None:
        try:
            return network_view, (storage.read_blob(image.digest), source.preprocessing)
        except FileNotFoundError:
            return None

    for image, view in decoders.run_all(images, call):
        progress.step()
        if view is not None and not isinstance(view, Refused):
            yield image, view
