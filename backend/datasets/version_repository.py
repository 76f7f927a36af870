"""All SQL over frozen versions and what they contain."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from backend.domain.ids import Digest
from backend.tables.datasets import (
    DatasetRow,
    ImageRow,
    VersionImageRow,
    VersionRow,
)
from backend.tables.training import RunRow


@dataclass(frozen=True, slots=True)
class VersionFile:
    """A picture of a version: its file, its name in the dataset, and what the version says of it."""

    digest: Digest
    path: str
    format: str
    bytes: int
    label: str
    split: str


class VersionRepository:
    """Frozen versions of datasets."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, row: VersionRow, images: Sequence[tuple[str, str, str]]) -> None:
        """Freeze a version: (image id, label, split) of each image. The dataset must be locked."""
        last = select(func.max(VersionRow.number)).where(VersionRow.dataset_id == row.dataset_id)
        row.number = (self._session.scalar(last) or 0) + 1
        self._session.add(row)
        self._session.flush()
        self._session.execute(
            insert(VersionImageRow),
            [
                {"version_id": row.id, "image_id": image_id, "label": label, "split": split}
                for image_id, label, split in images
            ],
        )

    def find(self, version_id: str) -> VersionRow | None:
        """A version of a dataset that isn't deleted, or None."""
        query = select(VersionRow).join(DatasetRow, DatasetRow.id == VersionRow.dataset_id)
        return self._session.scalar(query.where(VersionRow.id == version_id, ~DatasetRow.is_being_deleted))

    def of_dataset(self, dataset_id: str, *, limit: int, after: str | None = None) -> list[VersionRow]:
        """Versions, the newest first."""
        query = (
            select(VersionRow).where(VersionRow.dataset_id == dataset_id).order_by(VersionRow.id.desc()).limit(limit)
        )
        if after:
            query = query.where(VersionRow.id < after)
        return list(self._session.scalars(query))

    def latest(self, dataset_id: str) -> VersionRow | None:
        """The newest version, or None."""
        return next(iter(self.of_dataset(dataset_id, limit=1)), None)

    def images(self, version_id: str) -> list[tuple[str, Digest, str, str, str]]:
        """(id, digest, path, label, split) of each image, by digest."""
        query = (
            select(ImageRow.id, ImageRow.digest, ImageRow.path, VersionImageRow.label, VersionImageRow.split)
            .join(ImageRow, ImageRow.id == VersionImageRow.image_id)
            .where(VersionImageRow.version_id == version_id)
        )
        return sorted(
            (
                (id, Digest(digest), path, label, split)
                for id, digest, path, label, split in self._session.execute(query)
            ),
            key=lambda image: image[1],
        )

    def files(self, version_id: str) -> list[VersionFile]:
        """Every image of a version with its file, in no order."""
        file = (ImageRow.digest, ImageRow.path, ImageRow.format, ImageRow.bytes)
        query = select(*file, VersionImageRow.label, VersionImageRow.split).join(
            ImageRow, ImageRow.id == VersionImageRow.image_id
        )
        found = self._session.execute(query.where(VersionImageRow.version_id == version_id))
        return [
            VersionFile(Digest(digest), path, format, size, label, split)
            for digest, path, format, size, label, split in found
        ]

    def faces(self, version_id: str, each: int) -> dict[str, list[Digest]]:
        """Digests of the first images of each label, in the order of ids."""
        place = func.row_number().over(partition_by=VersionImageRow.label, order_by=VersionImageRow.image_id)
        mine = (
            select(VersionImageRow.image_id, VersionImageRow.label, place.label("place"))
            .where(VersionImageRow.version_id == version_id)
            .subquery()
        )
        query = select(mine.c.label, ImageRow.digest).join(ImageRow, ImageRow.id == mine.c.image_id)
        found: dict[str, list[Digest]] = {}
        for label, digest in self._session.execute(query.where(mine.c.place <= each).order_by(mine.c.image_id)):
            found.setdefault(label, []).append(Digest(digest))
        return found

    def formats_of(self, version_id: str, limit: int) -> list[str]:
        """Formats of the first images of a version."""
        query = (
            select(ImageRow.format)
            .join(VersionImageRow, VersionImageRow.image_id == ImageRow.id)
            .where(VersionImageRow.version_id == version_id)
        )
        return list(self._session.scalars(query.order_by(VersionImageRow.image_id).limit(limit)))

    def labels_of(self, version_id: str, split: str | None = None) -> list[tuple[str, str]]:
        """(image id, label) of each image, in the order of ids."""
        query = select(VersionImageRow.image_id, VersionImageRow.label).where(VersionImageRow.version_id == version_id)
        if split is not None:
            query = query.where(VersionImageRow.split == split)
        return [
            (image_id, label) for image_id, label in self._session.execute(query.order_by(VersionImageRow.image_id))
        ]

    def pictures_of(self, version_id: str, image_ids: Sequence[str]) -> dict[str, tuple[str, Digest, int, int]]:
        """(label, digest, width, height) of images of a version, by id."""
        query = (
            select(ImageRow.id, VersionImageRow.label, ImageRow.digest, ImageRow.width, ImageRow.height)
            .join(ImageRow, ImageRow.id == VersionImageRow.image_id)
            .where(VersionImageRow.version_id == version_id, VersionImageRow.image_id.in_(image_ids))
        )
        return {
            image_id: (label, Digest(digest), width, height)
            for image_id, label, digest, width, height in self._session.execute(query)
        }

    def splits_of(self, version_id: str) -> dict[str, str]:
        """Split of each image, by its id."""
        query = select(VersionImageRow.image_id, VersionImageRow.split).where(VersionImageRow.version_id == version_id)
        # By the connection: the session would make an object of each row.
        return {image_id: split for image_id, split in self._session.connection().execute(query)}

    def held_out(self, version_id: str) -> list[str]:
        """Ids of the images that aren't trained on."""
        query = select(VersionImageRow.image_id).where(
            VersionImageRow.version_id == version_id, VersionImageRow.split != "train"
        )
        return list(self._session.scalars(query))

    def learnt_from(self, version_id: str) -> list[str]:
        """Ids of the images that are trained on, in order."""
        query = (
            select(VersionImageRow.image_id)
            .where(VersionImageRow.version_id == version_id, VersionImageRow.split == "train")
            .order_by(VersionImageRow.image_id)
        )
        return list(self._session.scalars(query))

    def trained(self, dataset_id: str) -> list[VersionRow]:
        """Versions that trainings have used, the newest first."""
        used = select(RunRow.version_id)
        query = select(VersionRow).where(VersionRow.dataset_id == dataset_id, VersionRow.id.in_(used))
        return list(self._session.scalars(query.order_by(VersionRow.id.desc())))

    def label_of(self, version_id: str, image_id: str) -> str | None:
        """Label of one image in a version, or None."""
        return self._session.scalar(
            select(VersionImageRow.label).where(
                VersionImageRow.version_id == version_id, VersionImageRow.image_id == image_id
            )
        )
