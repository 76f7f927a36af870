"""Resumable uploads by the tus 1.0 protocol: creation (with first bytes), expiration, checksum, termination."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, TypeVar

import anyio.to_thread
from fastapi import APIRouter, Query, Request, Response
from starlette.responses import JSONResponse

from backend.caller import CallerDep
from backend.datasets.body import read_in_thread
from backend.datasets.images import find_dataset
from backend.datasets.imports import MAX_ARCHIVE_BYTES
from backend.dependencies import ReadDep, Services, ServicesDep
from backend.imaging.pool import decoding_pool
from backend.pagination import IdCursorDep, LimitQuery, Page
from backend.tables.uploads import UploadRow
from backend.uploads.create import create_upload
from backend.uploads.errors import ContentTypeUnsupported
from backend.uploads.finish import settled
from backend.uploads.headers import BYTES, CHECKSUMS, VERSION, Checksum, checksum, http_date, new_upload, number
from backend.uploads.holders import Holders
from backend.uploads.receive import receive
from backend.uploads.repository import UploadRepository
from backend.uploads.route import TusRoute
from backend.uploads.schemas import ResumableRead
from backend.uploads.terminate import terminate

router = APIRouter(prefix="/api/v1", tags=["uploads"])
tus = APIRouter(prefix="/api/v1", tags=["uploads"], route_class=TusRoute)
Answer = TypeVar("Answer")


def _header(name: str, words: str, schema: dict[str, Any], *, required: bool = True) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": required, "description": words, "schema": schema}


_WHOLE: Final = {"type": "integer", "minimum": 0}
_TUS: Final = _header("Tus-Resumable", "The protocol's version.", {"type": "string", "enum": [VERSION]})
_TEXT: Final = {"type": "string"}
_CHECKSUM: Final = _header("Upload-Checksum", "`sha256` or `sha1`, a space, Base64.", _TEXT, required=False)
_OFFSET: Final = _header("Upload-Offset", "Where these bytes begin.", _WHOLE)
_BODY: Final = {"content": {BYTES: {"schema": {"type": "string", "format": "binary"}}}}
_ANNOUNCED: Final = [
    _TUS,
    _header("Upload-Length", "The file's size in bytes.", {"type": "integer", "minimum": 1}),
    _header(
        "Upload-Metadata",
        "Pairs of a name and a value in Base64, with commas between them: `dataset` (its id), `path` (the file's, with "
        "folders), `kind` (`archive` or `picture`), `fingerprint` (any text by which you find the upload again).",
        _TEXT,
    ),
]


@router.options("/uploads", status_code=204)
def describe_uploads() -> Response:
    """What of the protocol is supported."""
    headers = {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Max-Size": str(MAX_ARCHIVE_BYTES),
        "Tus-Extension": "creation,creation-with-upload,expiration,checksum,termination",
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }
    return Response(status_code=204, headers=headers)


@router.get("/uploads")
def list_uploads(
    session: ReadDep,
    caller: CallerDep,
    dataset: Annotated[str, Query(max_length=64, description="The dataset's id.")],
    fingerprint: Annotated[str | None, Query(max_length=255, description="Only the upload of this file.")] = None,
    complete: Annotated[bool, Query(description="Also those that were completed within the last week.")] = False,
    limit: LimitQuery = 100,
    after: IdCursorDep = None,
) -> Page[ResumableRead]:
    """Your uploads into a dataset that aren't complete, the newest first."""
    find_dataset(session, dataset)
    repository = UploadRepository(session)
    rows = repository.unfinished(
        caller.token_id,
        dataset_id=dataset,
        fingerprint=fingerprint,
        limit=limit + 1,
        after=after,
        with_complete=complete,
    )
    return Page[ResumableRead].of(rows, limit, ResumableRead.of)


@router.get("/uploads/{upload_id}")
def get_upload(upload_id: str, session: ReadDep, caller: CallerDep) -> ResumableRead:
    """How far an upload is, and what has become of it."""
    return ResumableRead.of(UploadRepository(session).get(upload_id, caller.token_id))


@tus.post("/uploads", status_code=201, openapi_extra={"parameters": _ANNOUNCED, "requestBody": _BODY})
async def start_upload(request: Request, services: ServicesDep, caller: CallerDep) -> ResumableRead:
    """Announce a file; its room is reserved, and `Location` is where its bytes go. The first may come along."""
    new = new_upload(request.headers)
    open_unit, storage = services.open_unit(), services.storage
    has_bytes = request.headers.get("content-type") == BYTES
    sent = checksum(request.headers) if has_bytes else None
    row = await _in_thread(lambda: create_upload(open_unit, storage, new, caller.token_id))
    if has_bytes:
        row = await _receive(request, services, caller.token_id, row.id, row.received, sent)
    location = f"{request.scope.get('root_path', '')}/api/v1/uploads/{row.id}"
    body = ResumableRead.of(row).model_dump(mode="json")
    return JSONResponse(body, 201, headers={"Location": location, **_progress(row)})  # type: ignore[return-value]  # as FastAPI allows


@tus.head("/uploads/{upload_id}", response_class=Response, openapi_extra={"parameters": [_TUS]})
async def find_offset(request: Request, upload_id: str, services: ServicesDep, caller: CallerDep) -> Response:
    """How many bytes have arrived for certain: go on from `Upload-Offset`."""
    async with _holders(request).hold(upload_id):
        row = await _in_thread(lambda: _settled(services, upload_id, caller.token_id))
    headers = {"Upload-Length": str(row.length), "Upload-Metadata": row.given_metadata, "Cache-Control": "no-store"}
    return Response(status_code=200, headers={**headers, **_progress(row)})


@tus.patch(
    "/uploads/{upload_id}",
    status_code=204,
    openapi_extra={"parameters": [_TUS, _OFFSET, _CHECKSUM], "requestBody": {"required": True, **_BODY}},
)
async def continue_upload(request: Request, upload_id: str, services: ServicesDep, caller: CallerDep) -> Response:
    """More bytes of a file. What has arrived when the connection breaks is kept; the last byte makes it an import."""
    if request.headers.get("content-type") != BYTES:
        raise ContentTypeUnsupported(BYTES)
    offset, sent = number(request.headers, "upload-offset"), checksum(request.headers)
    row = await _receive(request, services, caller.token_id, upload_id, offset, sent)
    return Response(status_code=204, headers=_progress(row))


@tus.delete("/uploads/{upload_id}", status_code=204, openapi_extra={"parameters": [_TUS]})
async def terminate_upload(request: Request, upload_id: str, services: ServicesDep, caller: CallerDep) -> Response:
    """Give an upload up: what has arrived is deleted. What a complete one has become stays."""
    async with _holders(request).hold(upload_id):
        await _in_thread(lambda: terminate(services.open_unit(), services.storage, upload_id, caller.token_id))
    return Response(status_code=204)


async def _receive(
    request: Request, services: Services, token_id: str, upload_id: str, offset: int, sent: Checksum | None
) -> UploadRow:
    open_unit, storage = services.open_unit(), services.storage

    def work(chunks: Iterator[bytes]) -> UploadRow:
        row = receive(open_unit, storage, upload_id, token_id, offset=offset, checksum=sent, chunks=chunks)
        return _settled(services, upload_id, token_id) if row.received == row.length else row

    async with _holders(request).hold(upload_id) as hold:
        return await read_in_thread(request, work, hold.watched(request.stream()))


def _settled(services: Services, upload_id: str, token_id: str) -> UploadRow:
    return settled(services.open_unit(), services.storage, decoding_pool(), upload_id, token_id)


def _progress(row: UploadRow) -> dict[str, str]:
    return {"Upload-Offset": str(row.received), "Upload-Expires": http_date(row.expires_at)}


async def _in_thread(work: Callable[[], Answer]) -> Answer:
    return await anyio.to_thread.run_sync(work)


def _holders(request: Request) -> Holders:
    # Belongs to an event loop, so it lives with the application and not with the module.
    state = request.app.state
    if not hasattr(state, "upload_holders"):
        state.upload_holders = Holders()
    holders: Holders = state.upload_holders
    return holders
