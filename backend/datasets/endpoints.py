"""Datasets, their pictures and imports, by REST."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from backend.datasets.body import files_of_form, read_in_thread
from backend.datasets.errors import EmptyUpload
from backend.datasets.images import copy_to_look_at, find_image, opened, present_files, thumbnail
from backend.datasets.import_view import read_import
from backend.datasets.imports import cancel_import, take_archive
from backend.datasets.ingest import ingest
from backend.datasets.repository import DatasetRepository, Rejection
from backend.datasets.samples import SAMPLES
from backend.datasets.schemas import (
    DatasetCreate,
    DatasetRead,
    FilesPresent,
    FilesPresentRead,
    ImportRead,
    NoteRead,
    RejectionRead,
    SampleRead,
    ThumbnailSize,
    UploadRead,
)
from backend.datasets.serving import download_headers, picture_headers
from backend.dependencies import ReadDep, ServicesDep, StorageDep, UnitDep
from backend.domain.errors import InvalidInput
from backend.domain.ids import Digest
from backend.imaging.facts import MEDIA_TYPES, SHOWN_BY_BROWSERS
from backend.imaging.pool import decoding_pool
from backend.imaging.thumbnails import media_type_of
from backend.pagination import IdCursorDep, LimitQuery, Page

router = APIRouter(prefix="/api/v1", tags=["datasets"])


@router.post("/datasets", status_code=201)
def create_dataset(body: DatasetCreate, unit: UnitDep) -> DatasetRead:
    """Make an empty dataset."""
    repository = DatasetRepository(unit.session)
    return DatasetRead.of(repository.summary(repository.add(body.name).id))


@router.get("/datasets")
def list_datasets(session: ReadDep, limit: LimitQuery = 100, after: IdCursorDep = None) -> Page[DatasetRead]:
    """Datasets, the newest first."""
    found = DatasetRepository(session).summaries(limit=limit + 1, after=after)
    page = found[:limit]
    return Page[DatasetRead](
        items=[DatasetRead.of(summary) for summary in page], next=page[-1].row.id if len(found) > limit else None
    )


@router.get("/datasets/{dataset_id}")
def get_dataset(dataset_id: str, session: ReadDep) -> DatasetRead:
    """One dataset with its totals."""
    return DatasetRead.of(DatasetRepository(session).summary(dataset_id))


@router.patch("/datasets/{dataset_id}")
def rename_dataset(dataset_id: str, body: DatasetCreate, unit: UnitDep) -> DatasetRead:
    """Give a dataset another name."""
    repository = DatasetRepository(unit.session)
    repository.lock(dataset_id).name = body.name
    unit.session.flush()
    return DatasetRead.of(repository.summary(dataset_id))


_FILES_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "array", "items": {"type": "string", "format": "binary"}}},
                }
            }
        },
    }
}
_BYTES_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("/datasets/{dataset_id}/images", openapi_extra=_FILES_BODY)
async def upload_images(dataset_id: str, request: Request, services: ServicesDep) -> UploadRead:
    """Add pictures and tables: parts named ``files``, whose file names are their paths, folders included."""
    content_type = request.headers.get("content-type", "")
    found = await read_in_thread(
        request,
        lambda chunks: ingest(
            services.open_unit(), services.storage, decoding_pool(), dataset_id, files_of_form(chunks, content_type)
        ),
    )
    if not (found.added or found.already_there or found.ignored or found.tables or found.rejected or found.imports):
        raise EmptyUpload
    return UploadRead(
        added=found.added,
        already_there=found.already_there,
        ignored=found.ignored,
        tables=found.tables,
        rejected=[_rejection(rejection) for rejection in found.rejected],
        imports=found.imports,
        notes=[NoteRead(path=noted.path, code=noted.note.code, message=noted.note.message) for noted in found.noted],
    )


@router.post("/datasets/{dataset_id}/images/present")
def find_present_images(dataset_id: str, body: FilesPresent, session: ReadDep) -> FilesPresentRead:
    """Which files needn't be sent: those whose SHA-256 is in the list of their path."""
    if len(body.paths) != len(body.bytes):
        raise InvalidInput("There has to be one size for each path.", advice="Send as many “bytes” as “paths”.")
    return FilesPresentRead(sha256=present_files(session, dataset_id, body.paths, body.bytes))


@router.get("/datasets/{dataset_id}/rejections")
def list_rejections(
    dataset_id: str, session: ReadDep, limit: LimitQuery = 100, after: IdCursorDep = None
) -> Page[RejectionRead]:
    """Files that were left out, and why."""
    repository = DatasetRepository(session)
    repository.get(dataset_id)
    rows = repository.rejections(dataset_id, limit=limit + 1, after=after)
    return Page[RejectionRead].of(
        rows, limit, lambda row: RejectionRead(path=row.path, code=row.code, message=row.message)
    )


def _rejection(rejection: Rejection) -> RejectionRead:
    return RejectionRead(path=rejection.path, code=rejection.code, message=rejection.message)


@router.post("/datasets/{dataset_id}/archive", status_code=202, openapi_extra=_BYTES_BODY)
async def upload_archive(dataset_id: str, request: Request, services: ServicesDep) -> ImportRead:
    """Add a .zip, .tar, .tar.gz or .tgz: its raw bytes are the body."""
    open_unit, storage, database = services.open_unit(), services.storage, services.database

    def take(chunks: Iterator[bytes]) -> ImportRead:
        import_id = take_archive(open_unit, storage, dataset_id, chunks)
        with database.read() as session:
            return read_import(DatasetRepository(session), import_id)

    return await read_in_thread(request, take)


@router.get("/imports/{import_id}")
def get_import(import_id: str, session: ReadDep) -> ImportRead:
    """How far an import is, and which files it left out (the first 1,000)."""
    return read_import(DatasetRepository(session), import_id)


@router.post("/imports/{import_id}/cancel", status_code=202)
def stop_import(import_id: str, services: ServicesDep) -> ImportRead:
    """Stop an import; the pictures that it has added stay."""
    cancel_import(services.open_unit(), services.storage, import_id)
    with services.database.read() as session:
        return read_import(DatasetRepository(session), import_id)


@router.get("/samples")
def list_samples() -> Page[SampleRead]:
    """Data sets that are one click away."""
    return Page[SampleRead](items=[SampleRead.of(sample) for sample in SAMPLES.values()], next=None)


@router.get("/images/{image_id}/file", response_class=StreamingResponse)
def get_image_file(image_id: str, session: ReadDep, storage: StorageDep, original: bool = False) -> Response:
    """A picture to look at: the original file, or a copy as JPEG where browsers don't show its format.

    With `original=true` always the original file, as a download.
    """
    row = find_image(session, image_id)
    digest, format, name = Digest(row.digest), row.format, PurePosixPath(row.path).name
    # The connection isn't needed while the file is read.
    session.close()
    if not original and format not in SHOWN_BY_BROWSERS:
        copy = copy_to_look_at(storage, decoding_pool(), digest)
        return Response(copy, media_type=media_type_of(copy), headers=picture_headers(f"{digest}-copy"))
    headers = picture_headers(digest) | (download_headers(name) if original else {})
    return opened(storage, digest, MEDIA_TYPES.get(format, "application/octet-stream"), headers)


@router.get("/images/{image_id}/thumbnail", response_class=Response)
def get_thumbnail(
    image_id: str, session: ReadDep, storage: StorageDep, size: ThumbnailSize = ThumbnailSize.GRID
) -> Response:
    """A small copy as JPEG, as WebP where it has few pixels: 192 pixels for grids, 768 for looking closely."""
    digest = Digest(find_image(session, image_id).digest)
    # The connection isn't needed while the file is read.
    session.close()
    copy = thumbnail(storage, decoding_pool(), digest, size)
    return Response(copy, media_type=media_type_of(copy), headers=picture_headers(digest))
