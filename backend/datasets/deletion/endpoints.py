"""Deleting and restoring, by REST."""

from fastapi import APIRouter, BackgroundTasks

from backend.bodies import LargeJsonRoute
from backend.datasets.deletion.bin import bin_dataset, bin_images, delete_expired, mark_for_good, restore
from backend.datasets.deletion.bin_repository import BinRepository
from backend.datasets.deletion.schemas import (
    BinEntryRead,
    DeletedImagesRead,
    EmptiedRead,
    ImageDeletion,
    RestoredRead,
)
from backend.datasets.pictures.selection import Selection
from backend.dependencies import ReadDep, ServicesDep
from backend.pagination import IdCursorDep, LimitQuery, Page

router = APIRouter(prefix="/api/v1", tags=["datasets"], route_class=LargeJsonRoute)


@router.delete("/datasets/{dataset_id}", status_code=204)
def delete_dataset(dataset_id: str, services: ServicesDep) -> None:
    """Put a dataset into the bin with its versions and finished trainings; refused while one goes on."""
    bin_dataset(services.open_unit(), dataset_id)


@router.delete("/datasets/{dataset_id}/images")
def delete_images(dataset_id: str, body: ImageDeletion, services: ServicesDep) -> DeletedImagesRead:
    """Put pictures into the bin, by their ids or by a filter. Versions stay as they were frozen."""
    selection = Selection.of(body.ids, body.filter, body.excepted)
    batches = selection.batches(services.database, dataset_id)
    return DeletedImagesRead.of(bin_images(services.open_unit(), dataset_id, batches))


@router.get("/bin")
def list_bin(session: ReadDep, limit: LimitQuery = 100, after: IdCursorDep = None) -> Page[BinEntryRead]:
    """What can be restored, the newest first; after seven days it is deleted for good."""
    found = BinRepository(session).entries(limit=limit + 1, after=after)
    items = [BinEntryRead.of(entry) for entry in found[:limit]]
    return Page[BinEntryRead](items=items, next=items[-1].id if len(found) > limit else None)


@router.post("/bin/{bin_id}/restore")
def restore_from_bin(bin_id: str, services: ServicesDep) -> RestoredRead:
    """Bring back what was deleted, as it was."""
    return RestoredRead.of(restore(services.open_unit(), bin_id))


@router.delete("/bin/{bin_id}", status_code=202)
def delete_from_bin(bin_id: str, services: ServicesDep, later: BackgroundTasks) -> EmptiedRead:
    """Delete one entry for good. It can't be restored from now on; the work is done after the answer."""
    count = mark_for_good(services.open_unit(), bin_id)
    later.add_task(delete_expired, services.open_unit(), services.storage)
    return EmptiedRead(entries=count)


@router.delete("/bin", status_code=202)
def empty_bin(services: ServicesDep, later: BackgroundTasks) -> EmptiedRead:
    """Delete all entries for good."""
    count = mark_for_good(services.open_unit())
    later.add_task(delete_expired, services.open_unit(), services.storage)
    return EmptiedRead(entries=count)
