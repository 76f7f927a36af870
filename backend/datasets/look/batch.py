"""Pictures of a version exactly as the network will see them."""

import random
import secrets
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from backend.datasets.errors import ImageNotFound
from backend.datasets.images import content_of, or_raised
from backend.datasets.repository import DatasetRepository
from backend.datasets.version_repository import VersionRepository
from backend.datasets.versions import find_version
from backend.domain.ids import Digest
from backend.domain.training import Augmentation, TrainingRequest, resolve
from backend.imaging.pool import DecodingPool
from backend.imaging.preprocessing import Preprocessing, view_corners
from backend.imaging.tasks import network_view_png
from backend.storage.base import Storage

MAX_SEED: Final = 2**53 - 1
"""The largest whole number that JavaScript keeps exactly."""


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One picture of a batch; ``seed`` decides its random changes. Width and height are those of the whole picture."""

    image_id: str
    label: str
    seed: int
    digest: Digest
    width: int
    height: int


def batch(session: Session, version_id: str, *, n: int, seed: int | None) -> list[BatchItem]:
    """``n`` random training images of a version; others each time where no seed is given.

    Raises:
        VersionNotFound
    """
    find_version(session, version_id)
    generator = random.Random(secrets.randbelow(MAX_SEED) if seed is None else seed)
    versions = VersionRepository(session)
    ids = versions.learnt_from(version_id)
    chosen = [(image_id, generator.randrange(2**31)) for image_id in generator.sample(ids, min(n, len(ids)))]
    found = versions.pictures_of(version_id, [image_id for image_id, _ in chosen])
    return [BatchItem(image_id, found[image_id][0], own, *found[image_id][1:]) for image_id, own in chosen]


def view_of(item: BatchItem, augmentation: Augmentation | None, size: int) -> list[tuple[float, float]]:
    """The corners of what the network sees in the whole picture, as shares of its sides; None: nothing is random."""
    corners = view_corners(item.width, item.height, _preprocessing(size), augmentation, item.seed)
    return [(float(x), float(y)) for x, y in corners]


def _preprocessing(size: int) -> Preprocessing:
    """That of a training that nobody has changed anything about."""
    config = resolve(TrainingRequest(image_size=size))
    architecture = config.entry
    return Preprocessing(size, round(size / config.crop_share), architecture.mean, architecture.std)


def batch_image(
    session: Session,
    storage: Storage,
    decoders: DecodingPool,
    version_id: str,
    image_id: str,
    augmentation: Augmentation | None,
    *,
    seed: int,
    size: int,
) -> bytes:
    """A PNG of one image of a version as the network sees it; the same arguments give the same pixels.

    ``augmentation``: its random changes; None where nothing is random.

    Raises:
        ImageNotFound: the image isn't in that version.
        ImageFileMissing: its file isn't in the storage.
        PictureUnreadable: its file can't be decoded any more.
        DecodersBusy, DecodersDown: no picture can be read at the moment.
    """
    if VersionRepository(session).label_of(version_id, image_id) is None:
        raise ImageNotFound
    digest = Digest(DatasetRepository(session).image(image_id).digest)
    # The connection isn't needed while pixels are computed.
    session.close()
    content = content_of(storage, digest)
    return or_raised(decoders.run(network_view_png, content, _preprocessing(size), augmentation, seed))
