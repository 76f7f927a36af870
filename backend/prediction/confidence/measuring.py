"""Learn what a model's own pictures look like to it: their features, computed beside requests."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import structlog

from backend.datasets.manifests import manifest
from backend.dependencies import Services
from backend.domain.confidence.strangeness import LabelledFeatures, familiarity_of
from backend.domain.errors import AppError, Conflict
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

log = structlog.get_logger()


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


@dataclass(slots=True)
class Measurement:
    """How far it is: ``done`` of ``total`` pictures; ``failed`` says why it ended without a result, for people."""

    done: int = 0
    total: int = 0
    failed: str = ""
    is_over: bool = False
    is_cancelled: bool = False


class Measurements:
    """One measurement at a time; who asks for a checkpoint twice waits for the same one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="strangeness")
        self._of: dict[str, Measurement] = {}
        self._futures: list[Future[None]] = []

    def start(self, checkpoint_id: str, work: Callable[[Measurement], None]) -> Measurement:
        """Begin, unless it is under way."""
        with self._lock:
            known = self._of.get(checkpoint_id)
            if known is not None and not known.is_over:
                return known
            started = self._of[checkpoint_id] = Measurement()
            self._futures = [future for future in self._futures if not future.done()]
            self._futures.append(self._threads.submit(self._attempt, started, work))
            return started

    def cancel(self, checkpoint_id: str) -> None:
        """Stop soon; nothing is kept of it."""
        if (known := self._of.get(checkpoint_id)) is not None:
            known.is_cancelled = True

    def cancel_all(self) -> None:
        """Stop soon, as the server is stopping: what is under way is awaited by the interpreter."""
        for known in list(self._of.values()):
            known.is_cancelled = True

    def of(self, checkpoint_id: str) -> Measurement | None:
        """The measurement that is under way or has failed; None where there is none."""
        known = self._of.get(checkpoint_id)
        return None if known is None or (known.is_over and not known.failed) else known

    def wait_for_all(self) -> None:
        """Wait until nothing is under way; for tests."""
        for future in list(self._futures):
            future.result()

    def _attempt(self, measurement: Measurement, work: Callable[[Measurement], None]) -> None:
        try:
            if not measurement.is_cancelled:
                work(measurement)
        except AppError as refusal:
            measurement.failed = f"{refusal.message} {refusal.advice}"
        except Exception:  # whatever it is: the page says so, and everything else still works
            log.exception("background_failed", what="strangeness")
            measurement.failed = "The measurement failed; the reason is in the server's log."
        finally:
            measurement.is_over = True


MEASUREMENTS: Final = Measurements()


def measure(
    services: Services, cache: ModelCache, decoders: DecodingPool, checkpoint_id: str, progress: Measurement
) -> None:
    """Learn from a checkpoint's training and test pictures what strangeness is measured by, and keep it.

    Raises:
        StrangenessUnavailable
        ModelMissing, ModelDamaged, DecodersBusy, DecodersDown
    """
    with services.database.read() as session:
        source = source_of(session, services.storage, checkpoint_id)
        run = find_run(session, find_checkpoint(session, checkpoint_id).run_id)
        images = manifest(session, run.version_id).images
    model = cache.model(source)
    if not model.has_features:
        raise StrangenessUnavailable(checkpoint_id)
    most = max(MOST_SHOWN, _EACH * len(source.classes))
    shown = _some([image for image in images if image.split is Split.TRAIN], most)
    tested = _some([image for image in images if image.split is Split.VALID], MOST_TESTED)
    progress.total = len(shown) + len(tested)
    parts = [_features(model, source, services.storage, decoders, some, progress) for some in (shown, tested)]
    if progress.is_cancelled:
        return
    if not all(len(part.labels) for part in parts):
        raise StrangenessUnavailable(checkpoint_id)
    found = familiarity_of(*parts)
    with services.database.write() as session:
        keep_familiarity(session, checkpoint_id, found)


def _some(images: Sequence[ManifestImage], most: int) -> Sequence[ManifestImage]:
    # A manifest is ordered by digest, so every n-th is as good as chance.
    return images[:: 1 + (len(images) - 1) // most] if images else images


def _features(
    model: Model,
    source: ModelSource,
    storage: Storage,
    decoders: DecodingPool,
    images: Sequence[ManifestImage],
    progress: Measurement,
) -> LabelledFeatures:
    """Features of the pictures that can be read; fewer where it is cancelled."""
    number = {name: index for index, name in enumerate(source.classes)}
    known = (image for image in images if image.label in number and not progress.is_cancelled)
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
    progress: Measurement,
) -> Iterator[tuple[ManifestImage, Pixels]]:
    def call(image: ManifestImage) -> tuple[Callable[..., Pixels], tuple[object, ...]] | None:
        try:
            return network_view, (storage.read_blob(image.digest), source.preprocessing)
        except FileNotFoundError:
            return None

    for image, view in decoders.run_all(images, call):
        progress.done += 1
        if view is not None and not isinstance(view, Refused):
            yield image, view
