"""Record files that were added to a dataset; a batch of images takes as few statements as one."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from backend.datasets.repository import NewImage, Rejection
from backend.db.base import Base
from backend.domain.ids import Digest, new_id
from backend.imaging.measures import Measures
from backend.tables.datasets import (
    BinnedPathRow,
    BinRow,
    DatasetRow,
    ImagePathRow,
    ImageRow,
    RejectionRow,
    TableFileRow,
    VersionImageRow,
)
from backend.tables.examination import ImageMeasuresRow

_Rows = list[dict[str, Any]]  # Any: column values
_MEASURES = tuple(field.name for field in fields(Measures))


class AddedFiles:
    """What is added to one dataset, which must be locked, in the caller's transaction."""

    def __init__(self, session: Session, dataset: DatasetRow) -> None:
        self._session, self._dataset = session, dataset

    def add_images(self, images: Sequence[NewImage]) -> int:
        """Record images and their names; how many of them have bytes that are new to the dataset.

        Whatever comes with the same bytes is one image with several names.
        """
        if not images:
            return 0
        known = self._known([image.digest for image in images])
        new: dict[Digest, NewImage] = {}
        added = 0
        for image in images:
            if (row := known.get(image.digest)) is not None:
                added += self._named_again(row, image)
            elif image.digest not in new or image.path < new[image.digest].path:
                new[image.digest] = image
        ids = {digest: row.id for digest, row in known.items()} | {digest: new_id() for digest in new}
        self._insert_images(new, ids)
        self._insert_measures_and_names(images, ids)
        return added + len(new)

    def add_table(self, path: str, digest: Digest, size: int) -> None:
        """Record a table; one of the same name is replaced."""
        self._session.execute(
            delete(TableFileRow).where(TableFileRow.dataset_id == self._dataset.id, TableFileRow.path == path)
        )
        self._session.add(TableFileRow(id=new_id(), dataset_id=self._dataset.id, path=path, digest=digest, bytes=size))
        self._session.flush()

    def add_rejection(self, rejection: Rejection, import_id: str | None) -> None:
        """Record a file that was left out; a second time changes nothing."""
        known = select(RejectionRow.id).where(
            RejectionRow.dataset_id == self._dataset.id,
            RejectionRow.path == rejection.path,
            RejectionRow.code == rejection.code,
            RejectionRow.import_id.is_(None) if import_id is None else RejectionRow.import_id == import_id,
        )
        if self._session.scalar(known.limit(1)) is not None:
            return
        self._session.add(
            RejectionRow(
                id=new_id(),
                dataset_id=self._dataset.id,
                import_id=import_id,
                path=rejection.path,
                code=rejection.code,
                message=rejection.message,
            )
        )
        self._dataset.rejected += 1

    def _known(self, digests: Sequence[Digest]) -> dict[Digest, ImageRow]:
        query = select(ImageRow).where(ImageRow.dataset_id == self._dataset.id, ImageRow.digest.in_(set(digests)))
        return {Digest(row.digest): row for row in self._session.scalars(query)}

    def _named_again(self, row: ImageRow, image: NewImage) -> bool:
        """Whether an image that has a row was deleted; it is there again then."""
        if not row.is_deleted:
            row.path = min(row.path, image.path)
            return False
        if row.bin_id is not None:
            self._leave_bin(row)
        row.is_deleted, row.path = False, image.path
        self._count(image)
        return True

    def _leave_bin(self, image: ImageRow) -> None:
        """Take an image out of its entry because its bytes came again; its earlier names are forgotten."""
        in_version = select(VersionImageRow.image_id).where(VersionImageRow.image_id == image.id).exists()
        freed = 0 if self._session.scalar(select(in_version)) else image.bytes
        self._session.execute(
            update(BinRow)
            .where(BinRow.id == image.bin_id)
            .values(images=BinRow.images - 1, bytes=BinRow.bytes - freed)
            .execution_options(synchronize_session=False)
        )
        self._session.execute(delete(BinnedPathRow).where(BinnedPathRow.image_id == image.id))
        image.bin_id = None

    def _insert_images(self, new: dict[Digest, NewImage], ids: dict[Digest, str]) -> None:
        rows: _Rows = []
        for digest, image in new.items():
            self._count(image)
            rows.append(
                {
                    "id": ids[digest],
                    "dataset_id": self._dataset.id,
                    "digest": digest,
                    "path": image.path,
                    "format": image.format,
                    "width": image.width,
                    "height": image.height,
                    "bytes": image.bytes,
                    "notes": [asdict(note) for note in image.notes],
                }
            )
        if rows:
            # Past the session, which would look at each row of each batch.
            self._session.connection().execute(insert(ImageRow), rows)

    def _insert_measures_and_names(self, images: Sequence[NewImage], ids: dict[Digest, str]) -> None:
        measures: _Rows = []
        names: _Rows = []
        for image in images:
            of_image = {"image_id": ids[image.digest], "dataset_id": self._dataset.id}
            if image.measures is not None:
                # ``asdict`` would copy all that is in them.
                measures.append(of_image | {name: getattr(image.measures, name) for name in _MEASURES})
            names.append(of_image | {"id": new_id(), "path": image.path})
        self._insert_unless_there(ImageMeasuresRow, measures)
        self._insert_unless_there(ImagePathRow, names)

    def _count(self, image: NewImage) -> None:
        self._dataset.images += 1
        self._dataset.bytes += image.bytes

    def _insert_unless_there(self, table: type[Base], rows: _Rows) -> None:
        if rows:
            dialect = postgresql if self._session.get_bind().dialect.name == "postgresql" else sqlite
            self._session.connection().execute(dialect.insert(table).on_conflict_do_nothing(), rows)
