"""The training pictures that look most like a test picture."""

from pathlib import Path

import numpy as np

from backend.datasets.examine.embeddings import Embeddings, write_embeddings
from backend.datasets.examine.nearest import LearntPicture, nearest_learnt
from backend.datasets.versions import find_version
from backend.db.session import Database, ReadSession
from backend.domain.ids import Digest, new_id
from backend.tables.datasets import DatasetRow, ImageRow, VersionImageRow, VersionRow

# Two that look like the first, and one that doesn't.
VALUES = np.array([[1, 0], [0.8, 0.6], [1, 0], [0, 1]], np.float32)


def version_of_four(database: Database) -> tuple[str, tuple[str, ...]]:
    """A version whose first picture is held out, and ids of its pictures."""
    with database.write() as session:
        dataset_id, version_id, images = new_id(), new_id(), tuple(new_id() for _ in range(4))
        session.add(DatasetRow(id=dataset_id, name="animals", images=4, bytes=4))
        session.flush()
        session.add_all(
            ImageRow(
                id=image_id, dataset_id=dataset_id, digest=f"{place:064x}", path=f"{place}.png",
                format="PNG", width=9, height=9, bytes=1,
            )
            for place, image_id in enumerate(images)
        )  # fmt: skip
        session.add(
            VersionRow(
                id=version_id, dataset_id=dataset_id, number=1, classes=["cat", "dog"], counts={}, rule={}, split={},
                overrides=[],
            )
        )  # fmt: skip
        session.flush()
        session.add_all(
            VersionImageRow(version_id=version_id, image_id=image_id, label=label, split=split)
            for image_id, label, split in zip(
                images, ("cat", "dog", "cat", "dog"), ("valid", "train", "train", "train"), strict=True
            )
        )
    return version_id, images


def nearest(session: ReadSession, folder: Path, version_id: str, image_id: str, count: int = 2) -> list[LearntPicture]:
    return nearest_learnt(session, folder, version_id, image_id, count)


def test_they_come_with_their_labels_the_nearest_first(database: Database, tmp_path: Path) -> None:
    version_id, images = version_of_four(database)
    with database.read() as session:
        write_embeddings(tmp_path, find_version(session, version_id).dataset_id, Embeddings(images, VALUES))

        found = nearest(session, tmp_path, version_id, images[0])

    assert found == [
        LearntPicture(images[2], Digest(f"{2:064x}"), "cat"),
        LearntPicture(images[1], Digest(f"{1:064x}"), "dog"),
    ]


def test_a_training_picture_is_not_its_own_neighbour(database: Database, tmp_path: Path) -> None:
    version_id, images = version_of_four(database)
    with database.read() as session:
        write_embeddings(tmp_path, find_version(session, version_id).dataset_id, Embeddings(images, VALUES))

        found = nearest(session, tmp_path, version_id, images[2], count=9)

    assert [picture.image_id for picture in found] == [images[1], images[3]]


def test_before_pictures_were_examined_there_are_none(database: Database, tmp_path: Path) -> None:
    version_id, images = version_of_four(database)
    with database.read() as session:
        assert nearest(session, tmp_path, version_id, images[0]) == []
        write_embeddings(tmp_path, find_version(session, version_id).dataset_id, Embeddings(images[1:], VALUES[1:]))
        assert nearest(session, tmp_path, version_id, images[0]) == []
