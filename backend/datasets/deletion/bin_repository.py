"""All SQL of the bin: what goes in, comes back, and leaves for good."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from backend.datasets.errors import BinEntryNotFound
from backend.domain.ids import Digest, new_id
from backend.ledger.clock import database_now
from backend.tables.datasets import BinnedPathRow, BinRow, DatasetRow, ImagePathRow, ImageRow, VersionImageRow

DAYS_KEPT: Final = 7
_DAY_S: Final = 86_400.0


class BinKind(StrEnum):
    """What one entry of the bin has."""

    PICTURES = "pictures"
    DATASET = "dataset"


@dataclass(frozen=True, slots=True)
class BinEntry:
    """What one action deleted, and the name of its dataset."""

    row: BinRow
    dataset: str


@dataclass(frozen=True, slots=True)
class Moved:
    """``images`` went into the bin; ``kept`` of them stay in versions whatever becomes of the bin."""

    images: int = 0
    kept: int = 0


class BinRepository:
    """What is in the bin, changed in the caller's transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def entries(self, *, limit: int, after: str | None = None) -> list[BinEntry]:
        """What can be restored, the newest first. Pictures of a dataset that is in the bin itself come with it."""
        query = (
            select(BinRow, DatasetRow.name)
            .join(DatasetRow, DatasetRow.id == BinRow.dataset_id)
            .where(*_restorable())
            .order_by(BinRow.id.desc())
            .limit(limit)
        )
        if after:
            query = query.where(BinRow.id < after)
        return [BinEntry(row, name) for row, name in self._session.execute(query)]

    def totals(self) -> tuple[int, int]:
        """(entries, bytes that deleting all of them frees at most)."""
        query = select(func.count(), func.coalesce(func.sum(BinRow.bytes), 0)).select_from(BinRow)
        found = self._session.execute(
            query.join(DatasetRow, DatasetRow.id == BinRow.dataset_id).where(*_restorable())
        ).one()
        return int(found[0]), int(found[1])

    def get(self, bin_id: str) -> BinEntry:
        """One of ``entries``. Raises BinEntryNotFound."""
        query = select(BinRow, DatasetRow.name).join(DatasetRow, DatasetRow.id == BinRow.dataset_id)
        found = self._session.execute(query.where(BinRow.id == bin_id, *_restorable())).one_or_none()
        if found is None:
            raise BinEntryNotFound
        return BinEntry(*found)

    def find(self, bin_id: str | None) -> BinRow | None:
        """An entry that isn't over yet, or None."""
        if bin_id is None:
            return None
        query = select(BinRow).where(BinRow.id == bin_id, BinRow.expires_at > database_now())
        return self._session.scalar(query.execution_options(populate_existing=True))

    def lock_dataset(self, dataset_id: str) -> DatasetRow | None:
        """The dataset of an entry, hidden or not, with others made to wait; None where it is gone."""
        query = select(DatasetRow).where(DatasetRow.id == dataset_id).with_for_update()
        return self._session.scalar(query.execution_options(populate_existing=True))

    # In

    def add(self, dataset_id: str, kind: BinKind, *, images: int = 0, size: int = 0) -> BinRow:
        """A new entry, kept for seven days of the database's clock."""
        row = BinRow(id=new_id(), dataset_id=dataset_id, kind=kind, images=images, bytes=size)
        # Any: an attribute may be set to an expression that the database computes.
        setattr(row, "expires_at", database_now(DAYS_KEPT * _DAY_S))  # noqa: B010
        self._session.add(row)
        self._session.flush()
        return row

    def move_images(self, entry: BinRow, dataset: DatasetRow, ids: Sequence[str]) -> Moved:
        """Put present images of a dataset into an entry; the dataset must be locked."""
        query = select(ImageRow.id, ImageRow.bytes)
        found = self._session.execute(
            query.where(ImageRow.dataset_id == dataset.id, ImageRow.id.in_(ids), ~ImageRow.is_deleted)
        ).all()
        mine = [image.id for image in found]
        kept = self._in_versions(mine)
        of_mine = ImagePathRow.image_id.in_(mine)
        self._session.execute(
            insert(BinnedPathRow).from_select(
                ["image_id", "path"], select(ImagePathRow.image_id, ImagePathRow.path).where(of_mine)
            )
        )
        self._session.execute(delete(ImagePathRow).where(of_mine))
        self._session.execute(update(ImageRow).where(ImageRow.id.in_(mine)).values(is_deleted=True, bin_id=entry.id))
        dataset.images -= len(found)
        dataset.bytes -= sum(image.bytes for image in found)
        entry.images += len(found)
        entry.bytes += sum(image.bytes for image in found if image.id not in kept)
        self._session.flush()
        return Moved(len(found), len(kept))

    # Back

    def restore_images(self, entry: BinRow, dataset: DatasetRow, count: int) -> int:
        """Bring back so many images of an entry, with all of their names; how many there were."""
        found = self._session.execute(
            select(ImageRow.id, ImageRow.bytes)
            .where(ImageRow.bin_id == entry.id)
            .order_by(ImageRow.bin_id, ImageRow.id)
            .limit(count)
        ).all()
        mine = [image.id for image in found]
        names = self._session.execute(
            select(BinnedPathRow.image_id, BinnedPathRow.path).where(BinnedPathRow.image_id.in_(mine))
        ).all()
        if names:
            self._session.execute(
                insert(ImagePathRow),
                [
                    {"id": new_id(), "dataset_id": dataset.id, "image_id": name.image_id, "path": name.path}
                    for name in names
                ],
            )
        self._session.execute(delete(BinnedPathRow).where(BinnedPathRow.image_id.in_(mine)))
        self._session.execute(update(ImageRow).where(ImageRow.id.in_(mine)).values(is_deleted=False, bin_id=None))
        dataset.images += len(found)
        dataset.bytes += sum(image.bytes for image in found)
        entry.images -= len(found)
        self._session.flush()
        return len(found)

    def drop(self, bin_id: str) -> None:
        """Forget an entry; nothing happens where there is none."""
        self._session.execute(delete(BinRow).where(BinRow.id == bin_id))

    # For good

    def expire(self, bin_id: str | None = None) -> int:
        """End the time of one entry, or of all that can be restored; how many there were."""
        query = select(BinRow.id).join(DatasetRow, DatasetRow.id == BinRow.dataset_id).where(*_restorable())
        if bin_id is not None:
            query = query.where(BinRow.id == bin_id)
        ids = list(self._session.scalars(query))
        self._session.execute(
            update(BinRow).where(BinRow.id.in_(ids)).values(expires_at=database_now()),
            execution_options={"synchronize_session": False},
        )
        return len(ids)

    def expired(self) -> list[tuple[str, str, BinKind]]:
        """(id, dataset id, kind) of what is to be deleted for good."""
        query = select(BinRow.id, BinRow.dataset_id, BinRow.kind).where(BinRow.expires_at <= database_now())
        return [(row.id, row.dataset_id, BinKind(row.kind)) for row in self._session.execute(query)]

    def delete_images(self, bin_id: str, count: int) -> list[Digest] | None:
        """So many images of an entry: their bytes, to be deleted after the commit. None where no image is left.

        Those that a version has stay for it, out of the bin.
        """
        query = select(ImageRow.id, ImageRow.digest).where(ImageRow.bin_id == bin_id)
        found = self._session.execute(query.order_by(ImageRow.bin_id, ImageRow.id).limit(count)).all()
        if not found:
            return None
        mine = [image.id for image in found]
        kept = self._in_versions(mine)
        self._session.execute(delete(BinnedPathRow).where(BinnedPathRow.image_id.in_(mine)))
        self._session.execute(update(ImageRow).where(ImageRow.id.in_(kept)).values(bin_id=None))
        gone = [image for image in found if image.id not in kept]
        self._session.execute(delete(ImageRow).where(ImageRow.id.in_([image.id for image in gone])))
        return [Digest(image.digest) for image in gone]

    def _in_versions(self, ids: Sequence[str]) -> set[str]:
        query = select(VersionImageRow.image_id).where(VersionImageRow.image_id.in_(ids)).distinct()
        return set(self._session.scalars(query))


def _restorable() -> tuple[ColumnElement[bool], ...]:
    is_dataset = BinRow.kind == BinKind.DATASET
    has_pictures = ~DatasetRow.is_being_deleted & (BinRow.images > 0)
    return BinRow.expires_at > database_now(), or_(is_dataset, has_pictures)
