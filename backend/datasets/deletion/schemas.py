"""What the API of deleting and restoring takes and gives."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from backend.datasets.deletion.bin import Binned, Restored
from backend.datasets.deletion.bin_repository import BinEntry
from backend.datasets.pictures.selection import MOST_IDS

_Ids = list[Annotated[str, StringConstraints(max_length=64)]]


class ImageDeletion(BaseModel):
    """Pictures to be deleted: ``ids``, or all that a ``filter`` lists, without those in ``except``."""

    model_config = ConfigDict(extra="forbid")

    ids: Annotated[_Ids, Field(max_length=MOST_IDS)] = []
    filter: Annotated[str, StringConstraints(max_length=8192)] | None = Field(
        None, description="The query of the list of pictures, such as `class=cat&split=train`; empty for all pictures."
    )
    excepted: Annotated[_Ids, Field(max_length=MOST_IDS, alias="except")] = []


class DeletedImagesRead(BaseModel):
    """``deleted`` pictures went into the bin; ``kept_in_versions`` of them stay for versions whatever becomes of it.

    ``skipped`` weren't in the dataset (any more). ``bin_id`` brings them back for seven days; null where none was
    deleted.
    """

    deleted: int
    kept_in_versions: int
    skipped: int
    bin_id: str | None

    @classmethod
    def of(cls, binned: Binned) -> Self:
        return cls(deleted=binned.images, kept_in_versions=binned.kept, skipped=binned.skipped, bin_id=binned.bin_id)


class BinEntryRead(BaseModel):
    """What one action deleted: ``kind`` is ``pictures`` or ``dataset``.

    ``frees_bytes`` is what deleting it for good frees at most: bytes that another dataset has as well stay.
    """

    id: str
    kind: str
    dataset_id: str
    dataset_name: str
    images: int
    frees_bytes: int
    deleted_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, entry: BinEntry) -> Self:
        row = entry.row
        return cls(
            id=row.id,
            kind=row.kind,
            dataset_id=row.dataset_id,
            dataset_name=entry.dataset,
            images=row.images,
            frees_bytes=row.bytes,
            deleted_at=row.created_at,
            expires_at=row.expires_at,
        )


class RestoredRead(BaseModel):
    """What came back: a dataset, or so many ``images`` of it."""

    kind: str
    dataset_id: str
    images: int

    @classmethod
    def of(cls, restored: Restored) -> Self:
        return cls(kind=restored.kind, dataset_id=restored.dataset_id, images=restored.images)


class EmptiedRead(BaseModel):
    """So many entries are being deleted for good; none of them can be restored any more."""

    entries: int
