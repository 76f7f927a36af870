"""Pictures of a version exactly as the network will see them."""

import random
import secrets
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from backend.datasets.errors import ImageNotFound
from backend.datasets.images import content_of, or_raised
from backend.datasets.repository import DatasetRepository, VersionRepository
from backend.datasets.versions import drawn_kind, find_version
from backend.domain.drawn import with_usual_augmentation
from backend.domain.ids import Digest
from backend.domain.manifest import Split
from backend.domain.training import TrainingRequest, resolve
from backend.imaging.pool import DecodingPool
from backend.imaging.preprocessing import Preprocessing
from backend.imaging.tasks import network_view_png
from backend.storage.base import Storage

MAX_SEED: Final = 2**53 - 1
"""The largest whole number that JavaScript keeps exactly."""


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One picture of a batch; ``seed`` decides its random changes."""

    image_id: str
    label: str
    seed: int


def batch(session: Session, version_id: str, *, n: int, seed: int | None) -> list[BatchItem]:
    """``n`` random training images of a version; others each time where no seed is given.

    Raises:
        VersionNotFound
    """
    find_version(session, version_id)
    generator = random.Random(secrets.randbelow(MAX_SEED) if seed is None else seed)
    images = VersionRepository(session).labels_of(version_id, Split.TRAIN)
    chosen = generator.sample(images, min(n, len(images)))
    return [BatchItem(image_id, label, generator.randrange(2**31)) for image_id, label in chosen]


def batch_image(
    session: Session,
    storage: Storage,
    decoders: DecodingPool,
    version_id: str,
    image_id: str,
    *,
    seed: int,
    augmented: bool,
    size: int,
) -> bytes:
    """A PNG of one image of a version as the network sees it; the same arguments give the same pixels.

    Raises:
        ImageNotFound: the image isn't in that version.
        ImageFileMissing: its file isn't in the storage.
        PictureUnreadable: its file can't be decoded any more.
        DecodersBusy, DecodersDown: no picture can be read at the moment.
    """
    if VersionRepository(session).label_of(version_id, image_id) is None:
        raise ImageNotFound
    digest = Digest(DatasetRepository(session).image(image_id).digest)
    drawn = drawn_kind(session, version_id)
    # The connection isn't needed while pixels are computed.
    session.close()
    content = content_of(storage, digest)
    # What a training does that nobody has changed anything about.
    config = resolve(with_usual_augmentation(TrainingRequest(image_size=size), drawn))
    architecture = config.entry
    preprocessing = Preprocessing(size, round(size / config.crop_share), architecture.mean, architecture.std)
    augmentation = config.augmentation if augmented else None
    return or_raised(decoders.run(network_view_png, content, preprocessing, augmentation, seed))
