"""Pages of a dataset: add pictures, see what has arrived, rename, delete."""

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Form, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from backend.datasets.body import files_of_form, read_in_thread
from backend.datasets.context import dataset_context
from backend.datasets.deletion.bin import bin_dataset
from backend.datasets.deletion.bin_repository import DAYS_KEPT
from backend.datasets.errors import ImportEnded
from backend.datasets.import_card import import_card
from backend.datasets.imports import cancel_import
from backend.datasets.ingest import Ingested, ingest
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.proposal import Proposal, complete_proposal
from backend.datasets.pictures.filter import ImageFilter, ListOrder
from backend.datasets.pictures.repository import PictureLists
from backend.datasets.pictures.tile import Tile
from backend.datasets.repository import DatasetRepository
from backend.datasets.samples import SAMPLES, find_sample
from backend.datasets.sources.begin import take_sample
from backend.dependencies import ReadDep, Services, ServicesDep, StorageDep, UnitDep
from backend.domain.ids import new_id
from backend.domain.images import JOINERS
from backend.imaging.pool import decoding_pool
from backend.journey.steps import StepName
from backend.storage.base import Storage
from backend.tables.datasets import DatasetRow
from backend.templating import address, counted, go_to, page

router = APIRouter(include_in_schema=False)

NEWEST = 60
PROPOSED_AT_ONCE = 20_000
"""Pictures up to which the page looks for a rule by itself."""
REJECTIONS = 200
IMPORTS = 3
NameForm = Annotated[str, Form(max_length=200)]


@router.get("/datasets/new")
def new_dataset(request: Request) -> Response:
    """Begin: drop, name, or take a sample."""
    return _new(request)


@router.post("/datasets")
def create_dataset(request: Request, unit: UnitDep, name: NameForm = "") -> Response:
    """An empty dataset."""
    if not (clean := _clean(name)):
        return _new(request, name, "A dataset needs a name, such as “leaves”.", 422)
    row = DatasetRepository(unit.session).add(clean)
    return RedirectResponse(address(request, f"/datasets/{row.id}"), 303)


@router.post("/datasets/sample")
def create_from_sample(request: Request, unit: UnitDep, sample: Annotated[str, Form(max_length=100)]) -> Response:
    """A dataset with a sample's pictures."""
    row = DatasetRepository(unit.session).add(find_sample(sample).title)
    take_sample(unit, row.id, sample)
    return RedirectResponse(address(request, f"/datasets/{row.id}"), 303)


@router.post("/datasets/upload")
async def create_from_files(request: Request, services: ServicesDep) -> Response:
    """A dataset of the files that were sent, where no script does it."""
    with services.open_unit()() as unit:
        dataset_id = DatasetRepository(unit.session).add("Pictures").id
    return await _take_files(request, services, dataset_id)


@router.post("/datasets/{dataset_id}/upload")
async def upload(request: Request, services: ServicesDep, dataset_id: str) -> Response:
    """More pictures, where no script does it."""
    return await _take_files(request, services, dataset_id)


async def _take_files(request: Request, services: Services, dataset_id: str) -> Response:
    content_type = request.headers.get("content-type", "")
    found = await read_in_thread(
        request,
        lambda chunks: ingest(
            services.open_unit(), services.storage, decoding_pool(), dataset_id, files_of_form(chunks, content_type)
        ),
    )
    query = f"?added={found.added}&already={found.already_there}&left_out={len(found.rejected)}"
    return RedirectResponse(address(request, f"/datasets/{dataset_id}{query}"), 303)


@router.get("/datasets/{dataset_id}")
def pictures(
    request: Request,
    session: ReadDep,
    storage: StorageDep,
    dataset_id: str,
    added: int | None = None,
    already: int = 0,
    left_out: int = 0,
    uploading: bool = False,
) -> Response:
    """Step 1: add pictures, and see what has arrived. While files are ``uploading``, no proposal is made yet."""
    repository = DatasetRepository(session)
    context = dataset_context(session, dataset_id, StepName.PICTURES)
    imports = [import_card(row, job) for row, job in repository.imports(dataset_id, IMPORTS)]
    is_filling = any(entry.is_open for entry in imports)
    proposal = None if uploading or is_filling else _proposal(session, storage, context["dataset"])
    return page(
        request,
        "datasets/pictures.html",
        **context,
        notice_of_upload=None if added is None else _arrived(Ingested(added, already), left_out),
        tiles=[
            Tile.of(image)
            for image in PictureLists(session).images(dataset_id, ImageFilter(order=ListOrder.NEWEST), limit=NEWEST)
        ],
        imports=imports,
        is_filling=is_filling,
        rejections=repository.rejections(dataset_id, limit=REJECTIONS),
        noted=repository.noted_images(dataset_id, limit=REJECTIONS),
        proposal=proposal,
        run_id=new_id(),
    )


def _proposal(session: Session, storage: Storage, dataset: DatasetRow) -> Proposal | None:
    if not 0 < dataset.images <= PROPOSED_AT_ONCE:
        return None
    return complete_proposal(DatasetContent.of(session, storage, dataset.id))


@router.post("/datasets/{dataset_id}/imports/{import_id}/cancel")
def cancel(request: Request, services: ServicesDep, dataset_id: str, import_id: str) -> Response:
    """Stop an import; one that has ended meanwhile is shown as it ended."""
    with suppress(ImportEnded):
        cancel_import(services.open_unit(), services.storage, import_id)
    return RedirectResponse(address(request, f"/datasets/{dataset_id}"), 303)


@router.post("/datasets/{dataset_id}/rename")
def rename(request: Request, unit: UnitDep, dataset_id: str, name: NameForm = "") -> Response:
    """Another name; an empty one changes nothing."""
    if clean := _clean(name):
        DatasetRepository(unit.session).lock(dataset_id).name = clean
    return go_to(request, f"/datasets/{dataset_id}", f"Renamed to “{clean}”." if clean else "")


@router.post("/datasets/{dataset_id}/delete")
def delete(request: Request, services: ServicesDep, dataset_id: str) -> Response:
    """Put a dataset into the bin; refused while it is in use."""
    with services.database.read() as session:
        name = DatasetRepository(session).get(dataset_id).name
    bin_id = bin_dataset(services.open_unit(), dataset_id)
    return go_to(request, "/", f"“{name}” is in the bin for {DAYS_KEPT} days.", undo=bin_id)


def _new(request: Request, name: str = "", error: str = "", status: int = 200) -> Response:
    samples = list(SAMPLES.values())
    return page(request, "datasets/new.html", status=status, name=name, name_error=error, samples=samples)


def _clean(name: str) -> str:
    return "".join(sign for sign in name if sign.isprintable() or sign in JOINERS).strip()


def _arrived(found: Ingested, left_out: int) -> str:
    parts = [f"{counted(found.added, 'picture')} added"]
    if found.already_there:
        parts.append(f"{found.already_there:,} already here")
    if left_out:
        parts.append(f"{counted(left_out, 'file')} left out")
    return ", ".join(parts) + "."
