"""Look at what goes in: pictures of a version exactly as the network will see them."""

import io
import random
import secrets
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image
from sqlalchemy.orm import Session

from backend.datasets.errors import ImageNotFound
from backend.datasets.repository import DatasetRepository, VersionRepository
from backend.datasets.versions import find_version
from backend.domain.architectures import ARCHITECTURES
from backend.domain.ids import Digest
from backend.domain.manifest import Split
from backend.domain.training import TrainingRequest, resolve
from backend.imaging.decoding import decode_near
from backend.imaging.preprocessing import Preprocessing, evaluation_view, training_view
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
    """``n`` random training images of a version; another nine each time where no seed is given.

    Raises:
        VersionNotFound
    """
    find_version(session, version_id)
    generator = random.Random(secrets.randbelow(MAX_SEED) if seed is None else seed)
    images = VersionRepository(session).labels_of(version_id, Split.TRAIN)
    chosen = generator.sample(images, min(n, len(images)))
    return [BatchItem(image_id, label, generator.randrange(2**31)) for image_id, label in chosen]


def batch_image(
    session: Session, storage: Storage, version_id: str, image_id: str, *, seed: int, augmented: bool, size: int
) -> bytes:
    """A PNG of one image of a version as the network sees it; the same arguments give the same pixels.

    Raises:
        ImageNotFound: the image isn't in that version.
    """
    if VersionRepository(session).label_of(version_id, image_id) is None:
        raise ImageNotFound
    digest = Digest(DatasetRepository(session).image(image_id).digest)
    # The connection isn't needed while pixels are computed.
    session.close()
    content = storage.read_blob(digest)
    # What a training does that nobody has changed anything about.
    config = resolve(TrainingRequest(image_size=size))
    architecture = ARCHITECTURES[config.architecture]
    preprocessing = Preprocessing(size, round(size / config.crop_share), architecture.mean, architecture.deviation)
    image = decode_near(content, preprocessing.resize_to)
    if augmented:
        pixels = training_view(image, preprocessing, config.augmentation, np.random.default_rng(seed))
    else:
        pixels = evaluation_view(image, preprocessing)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()
