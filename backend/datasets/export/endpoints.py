"""A version of a dataset to take away, by REST."""

from fastapi import APIRouter
from starlette.responses import StreamingResponse

from backend.datasets.export.service import export_version
from backend.datasets.serving import download_headers
from backend.dependencies import ReadDep, StorageDep

router = APIRouter(prefix="/api/v1", tags=["labels and versions"])


@router.get("/versions/{version_id}/export", response_class=StreamingResponse)
def export_dataset_version(version_id: str, session: ReadDep, storage: StorageDep) -> StreamingResponse:
    """The version as a ZIP: the original files as `split/class/file` (ImageFolder), and `tellapart.json`."""
    archive = export_version(session, storage, version_id)
    # The connection isn't needed while the files are sent.
    session.close()
    headers = download_headers(archive.name) | {"Content-Length": str(archive.size)}
    return StreamingResponse(archive.pieces, media_type="application/zip", headers=headers)
