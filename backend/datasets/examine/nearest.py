"""Pictures that a training learnt from and that look most like another one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy.orm import Session

from backend.datasets.examine.embeddings import read_embeddings
from backend.datasets.version_repository import VersionRepository
from backend.datasets.versions import find_version
from backend.domain.ids import Digest


@dataclass(frozen=True, slots=True)
class LearntPicture:
    """A training picture of a version, with its label there."""

    image_id: str
    digest: Digest
    label: str


def nearest_learnt(session: Session, folder: Path, version_id: str, image_id: str, count: int) -> list[LearntPicture]:
    """The training pictures of a version that are most like a picture to the pretrained network, the nearest first.

    Args:
        folder: where the features of pictures are kept; none are found while the pictures haven't been examined.

    Raises:
        VersionNotFound
    """
    embeddings = read_embeddings(folder, find_version(session, version_id).dataset_id)
    if embeddings is None or image_id not in embeddings.image_ids:
        return []
    versions = VersionRepository(session)
    learnt = set(versions.learnt_from(version_id)) - {image_id}
    rows = np.array([row for row, known in enumerate(embeddings.image_ids) if known in learnt], dtype=np.int64)
    own = embeddings.values[embeddings.image_ids.index(image_id)]
    nearest = rows[np.argsort(-(embeddings.values[rows] @ own), kind="stable")[:count]]
    ids = [embeddings.image_ids[row] for row in nearest.tolist()]
    found = versions.pictures_of(version_id, ids)
    return [LearntPicture(id, found[id][1], found[id][0]) for id in ids if id in found]
