"""Deleting pictures, and the page of the bin: what can be restored until when, and how much room it takes."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Form, Request
from starlette.responses import Response

from backend.datasets.deletion.bin import bin_images, delete_expired, mark_for_good, restore
from backend.datasets.deletion.bin_repository import DAYS_KEPT, BinKind, BinRepository
from backend.datasets.deletion.words import binned_words, restored_words
from backend.datasets.pictures.selection import MOST_IDS, Selection
from backend.dependencies import ReadDep, ServicesDep
from backend.pagination import IdCursorDep
from backend.templating import counted, go_to, page

router = APIRouter(include_in_schema=False)

ENTRIES_A_PAGE = 50


@router.get("/bin")
def show_bin(request: Request, session: ReadDep, after: IdCursorDep = None) -> Response:
    """What was deleted in the last seven days, the newest first."""
    repository = BinRepository(session)
    found = repository.entries(limit=ENTRIES_A_PAGE + 1, after=after)
    shown = found[:ENTRIES_A_PAGE]
    totals = repository.totals()
    return page(
        request,
        "datasets/bin.html",
        entries=shown,
        totals=totals,
        days=DAYS_KEPT,
        next_path=f"/bin?after={shown[-1].row.id}" if len(found) > ENTRIES_A_PAGE else None,
        first_path="/bin" if after else None,
    )


@router.post("/datasets/{dataset_id}/images/delete")
def delete_images(
    request: Request,
    services: ServicesDep,
    dataset_id: str,
    ids: Annotated[list[str], Form(max_length=MOST_IDS)] = [],  # noqa: B006  # FastAPI copies it
    back: Annotated[str, Form(max_length=8192)] = "",
) -> Response:
    """Put the pictures that are ticked into the bin, and show the list again."""
    path = f"/datasets/{dataset_id}/images"
    # Only our own list, whatever the form says.
    query = back.partition("?")[2] if back.startswith(f"{path}?") else ""
    path = f"{path}?{query}" if query else path
    if not ids:
        return go_to(request, path, "Tick the pictures first.")
    batches = Selection.of(ids, None, ()).batches(services.database, dataset_id)
    binned = bin_images(services.open_unit(), dataset_id, batches)
    return go_to(request, path, binned_words(binned), undo=binned.bin_id)


@router.post("/bin/empty")
def empty(request: Request, services: ServicesDep) -> Response:
    """Delete everything in the bin for good."""
    return _deleting(request, services, mark_for_good(services.open_unit()))


@router.post("/bin/{bin_id}/delete")
def delete_one(request: Request, services: ServicesDep, bin_id: str) -> Response:
    """Delete one entry for good."""
    return _deleting(request, services, mark_for_good(services.open_unit(), bin_id))


@router.post("/bin/{bin_id}/restore")
def restore_one(request: Request, services: ServicesDep, bin_id: str) -> Response:
    """Bring an entry back, and show where it is."""
    restored = restore(services.open_unit(), bin_id)
    path = f"/datasets/{restored.dataset_id}"
    return go_to(request, path if restored.kind is BinKind.DATASET else f"{path}/images", restored_words(restored))


def _deleting(request: Request, services: ServicesDep, count: int) -> Response:
    response = go_to(request, "/bin", f"{counted(count, 'entry', 'entries')} deleted for good.")
    # The work is done after the answer, batch by batch; where the server ends meanwhile, housekeeping goes on with it.
    later = BackgroundTasks()
    later.add_task(delete_expired, services.open_unit(), services.storage)
    response.background = later
    return response
