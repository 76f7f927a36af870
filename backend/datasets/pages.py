"""Pages of a dataset: bring pictures, look through them, rename, delete."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from backend.datasets.body import files_of_form, read_in_thread
from backend.datasets.context import dataset_context
from backend.datasets.deletion.remove import remove_dataset
from backend.datasets.imports import take_sample
from backend.datasets.ingest import Ingested, ingest
from backend.datasets.listing import ImageQuery, checked
from backend.datasets.repository import DatasetRepository, ImageFilter, ListedImage
from backend.datasets.samples import SAMPLES, find_sample
from backend.datasets.schemas import ImportRead
from backend.datasets.urls import image_url, thumbnail_url
from backend.dependencies import ReadDep, Services, ServicesDep, UnitDep
from backend.domain.images import JOINERS
from backend.imaging.pool import decoding_pool
from backend.journey.steps import StepName
from backend.pagination import IdCursorDep
from backend.tables.datasets import ImportRow, VersionRow
from backend.templating import address, counted, page

router = APIRouter(include_in_schema=False)

NEWEST = 60
PICTURES_A_PAGE = 120
REJECTIONS = 200
IMPORTS = 3
NameForm = Annotated[str, Form(max_length=200)]


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture in a grid."""

    path: str
    label: str | None
    url: str
    thumbnail: str

    @classmethod
    def of(cls, image: ListedImage) -> "Tile":
        """The tile of a listed image."""
        row = image.row
        return cls(row.path, image.label, image_url(row.id, row.digest), thumbnail_url(row.id, digest=row.digest))


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
    query = f"?added={found.added}&already={found.already_there}&aside={len(found.rejected)}"
    return RedirectResponse(address(request, f"/datasets/{dataset_id}{query}"), 303)


@router.get("/datasets/{dataset_id}")
def pictures(
    request: Request,
    session: ReadDep,
    dataset_id: str,
    added: int | None = None,
    already: int = 0,
    aside: int = 0,
) -> Response:
    """Step 1: bring pictures, and see what has arrived."""
    repository = DatasetRepository(session)
    context = dataset_context(session, dataset_id, StepName.PICTURES)
    imports = [_import(row, ImportRead.of(row, job, ())) for row, job in repository.imports(dataset_id, IMPORTS)]
    return page(
        request,
        "datasets/pictures.html",
        **context,
        brought=None if added is None else _brought(Ingested(added, already), aside),
        tiles=[Tile.of(image) for image in repository.images(dataset_id, ImageFilter(newest=True), limit=NEWEST)],
        imports=imports,
        is_filling=any(entry["status"] in ("queued", "running") for entry in imports),
        rejections=repository.rejections(dataset_id, limit=REJECTIONS),
        noted=repository.noted_images(dataset_id, limit=REJECTIONS),
        tables=repository.tables(dataset_id),
    )


@router.get("/datasets/{dataset_id}/images")
def images(
    request: Request,
    session: ReadDep,
    dataset_id: str,
    label: Annotated[str, Query(alias="class", max_length=200)] = "",
    split: Literal["", "train", "valid", "test"] = "",
    version: Annotated[str, Query(max_length=64)] = "",
    after: IdCursorDep = None,
) -> Response:
    """All pictures, or those of a class or a side."""
    context = dataset_context(session, dataset_id, StepName.PICTURES) | {"here": "All pictures"}
    chosen, of_version = checked(session, dataset_id, ImageQuery(version, label, split))
    found = DatasetRepository(session).images(dataset_id, chosen, limit=PICTURES_A_PAGE + 1, after=after)
    shown = found[:PICTURES_A_PAGE]
    query = {"class": label, "split": split, "version": version}
    here = f"/datasets/{dataset_id}/images"
    return page(
        request,
        "datasets/images.html",
        **context,
        version=of_version,
        label=label,
        split=split,
        class_options=[("", "All classes"), *((name, name) for name in (of_version.classes if of_version else []))],
        total=_total(of_version, label, split, context["dataset"].images),
        tiles=[Tile.of(image) for image in shown],
        next_path=_path(here, **query, after=shown[-1].row.id) if len(found) > PICTURES_A_PAGE else None,
        first_path=_path(here, **query) if after else None,
    )


@router.post("/datasets/{dataset_id}/rename")
def rename(request: Request, unit: UnitDep, dataset_id: str, name: NameForm = "") -> Response:
    """Another name; an empty one changes nothing."""
    if clean := _clean(name):
        DatasetRepository(unit.session).lock(dataset_id).name = clean
    return RedirectResponse(address(request, f"/datasets/{dataset_id}"), 303)


@router.post("/datasets/{dataset_id}/delete")
def delete(request: Request, services: ServicesDep, dataset_id: str, typed: NameForm = "") -> Response:
    """Delete a dataset whose name was typed; refused while it is in use."""
    with services.database.read() as session:
        name = DatasetRepository(session).get(dataset_id).name
    if typed.strip() != name.strip():
        return RedirectResponse(address(request, f"/datasets/{dataset_id}"), 303)
    remove_dataset(services.open_unit(), services.storage, dataset_id)
    return RedirectResponse(address(request, "/"), 303)


def _new(request: Request, name: str = "", error: str = "", status: int = 200) -> Response:
    samples = list(SAMPLES.values())
    return page(request, "datasets/new.html", status=status, name=name, name_error=error, samples=samples)


def _clean(name: str) -> str:
    return "".join(sign for sign in name if sign.isprintable() or sign in JOINERS).strip()


def _brought(found: Ingested, aside: int) -> str:
    parts = [f"{counted(found.added, 'picture')} came in"]
    if found.already_there:
        parts.append(f"{found.already_there:,} were already here")
    if aside:
        parts.append(f"{aside:,} were left aside")
    return ", ".join(parts) + "."


def _import(row: ImportRow, shown: ImportRead) -> dict[str, Any]:  # Any: the template's context
    kind = row.source.get("kind")
    sample = SAMPLES.get(row.source["name"]) if kind == "sample" else None
    return {
        "status": shown.status,
        "verb": "Bringing" if sample else "Unpacking",
        "title": sample.title.lower() if sample else "the archive",
        "share": shown.progress,
        "done": row.entries_done,
        "total": row.entries_total,
        "failure": shown.failure,
    }


def _total(version: VersionRow | None, label: str, split: str, images: int) -> int:
    if version is None or not (label or split):
        return images
    sides = (split,) if split else ("train", "valid", "test")
    of_classes = [version.counts.get(label, {})] if label else version.counts.values()
    return sum(counts.get(side, 0) for counts in of_classes for side in sides)


def _path(path: str, **query: str) -> str:
    return f"{path}?{urlencode({name: value for name, value in query.items() if value})}"
