"""The images of a training: readable, decoded once, and counted."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace

from backend.domain.events import ImageSkipped, OnEvent, Phase, PhaseProgress, PhaseStarted
from backend.domain.ids import Digest
from backend.domain.manifest import ManifestImage, Split
from backend.domain.trainable import NoValidationImages
from backend.imaging.preprocessing import Preprocessing
from worker.engine.data.batches import LabelledImages
from worker.engine.data.source import ImageSource, Unreadable, preprocessing_of
from worker.engine.errors import (
    TooFewImages,
    TooManyUnreadable,
)
from worker.engine.order import Stopped, StopSignal, TrainingOrder
from worker.engine.parallel.ranks import ALONE, Ranks
from worker.engine.throttle import Throttle

UNREADABLE_SHARE = 0.05
"""Share of the images that may turn out unreadable before a training gives up; one always may."""


@dataclass(frozen=True, slots=True)
class Images:
    """The readable images of each split, and where their pixels come from.

    Attributes:
        skip: reports images that can't be read, each once.
        skipped: those that can't be read, as far as this process knows.
    """

    source: ImageSource
    train: LabelledImages
    valid: LabelledImages
    test: LabelledImages
    skip: Callable[[list[Unreadable]], None]
    skipped: Callable[[], list[Unreadable]]
    left_out: frozenset[Digest]


@contextmanager
def prepared_images(
    order: TrainingOrder,
    on_event: OnEvent,
    stop: StopSignal,
    left_out: Iterable[Digest] | None = None,
    *,
    image_size: int | None = None,
    kept: Callable[[], Set[Digest]] = frozenset,
    ranks: Ranks = ALONE,
) -> Iterator[Images]:
    """Decode and resize every image once, into a cache that lives as long as the block.

    All features that a training needs of ``kept`` images are on disk: they are opened only
    where their pixels are needed after all. Of several processes the first one reads, for all.

    A resumed training is given what was ``left_out`` when it began, since the order of the
    images depends on it. What has become unreadable since is skipped batch by batch.
    """
    images = order.manifest.images
    skipped = _Skipped(len(images), on_event)
    preprocessing = preprocessing_of(order.config, image_size=image_size)
    with _source(order, preprocessing, images, kept, on_event, stop, skipped.add, ranks) as source:
        skipped.add([one for found in ranks.gather(skipped.found) for one in found])
        without = set(skipped.digests if left_out is None else left_out)
        train, valid, test = (
            LabelledImages.of(order.manifest, split, without=without)
            for split in (Split.TRAIN, Split.VALID, Split.TEST)
        )
        require_enough(len(train), len(valid))
        yield Images(source, train, valid, test, skipped.add, skipped.found, frozenset(without))


@contextmanager
def resized_images(
    images: Images,
    image_size: int | None,
    order: TrainingOrder,
    on_event: OnEvent,
    stop: StopSignal,
    *,
    kept: Callable[[], Set[Digest]],
    ranks: Ranks = ALONE,
) -> Iterator[Images]:
    """The same images at a stage's size; at another one than before they are read once more, for exactly its pixels."""
    steps = preprocessing_of(order.config, image_size=image_size)
    if steps == images.source.preprocessing:
        yield images
        return
    wanted = [image for part in (images.train, images.valid, images.test) for image in part.images]
    with _source(order, steps, wanted, kept, on_event, stop, images.skip, ranks) as source:
        yield replace(images, source=source)


@contextmanager
def _source(
    order: TrainingOrder,
    preprocessing: Preprocessing,
    images: Sequence[ManifestImage],
    kept: Callable[[], Set[Digest]],
    on_event: OnEvent,
    stop: StopSignal,
    skip: Callable[[list[Unreadable]], None],
    ranks: Ranks,
) -> Iterator[ImageSource]:
    """Images with this preprocessing, all but the kept ones read into a cache that all processes use."""
    made: list[ImageSource] = []

    def read() -> ImageSource:
        made.append(ImageSource(order.open_bytes, preprocessing))
        unneeded = kept()
        if to_read := [image for image in images if image.digest not in unneeded]:
            _read(made[0], to_read, order, on_event, stop, skip)
        return made[0]

    try:
        yield ranks.from_first(read)
    finally:
        for one in made:
            one.close()


def _read(
    source: ImageSource,
    images: Sequence[ManifestImage],
    order: TrainingOrder,
    on_event: OnEvent,
    stop: StopSignal,
    skip: Callable[[list[Unreadable]], None],
) -> None:
    on_event(PhaseStarted(Phase.DATA, f"Reading {len(images):,} images"))
    pace = Throttle()
    for done, unreadable in source.fill_cache(images, order.state_folder):
        if stop.requested():
            raise Stopped
        skip(unreadable)
        if pace.due() or done == len(images):
            on_event(PhaseProgress(Phase.DATA, done, len(images)))


class _Skipped:
    """Reports each unreadable image once, and raises when they are too many."""

    def __init__(self, images: int, on_event: OnEvent) -> None:
        self._images, self._on_event = images, on_event
        self._found: list[Unreadable] = []
        self.digests: set[Digest] = set()

    def found(self) -> list[Unreadable]:
        return self._found

    def add(self, unreadable: list[Unreadable]) -> None:
        for one in unreadable:
            if one.image.digest in self.digests:
                continue
            self.digests.add(one.image.digest)
            self._found.append(one)
            self._on_event(ImageSkipped(one.image.id, one.image.path, one.reason))
            if len(self.digests) > max(1, UNREADABLE_SHARE * self._images):
                raise TooManyUnreadable(len(self.digests), self._images, one.image.path, one.reason)


def require_enough(train_images: int, valid_images: int) -> None:
    """Refuse too few readable images.

    Raises:
        TooFewImages, NoValidationImages
    """
    if train_images < 2:
        raise TooFewImages(train_images)
    if valid_images < 1:
        raise NoValidationImages
