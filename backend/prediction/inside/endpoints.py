"""What the units of a trained network respond to, by REST."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response

from backend.datasets.serving import picture_headers
from backend.dependencies import ReadDep, ServicesDep, StorageDep
from backend.prediction.inside.errors import InsidePictureMissing
from backend.prediction.inside.schemas import InsideRead
from backend.prediction.inside.service import inside_of, look, picture_file, stop

router = APIRouter(prefix="/api/v1", tags=["understanding"])
CheckpointQuery = Annotated[str | None, Query(max_length=64, description="Without it, the run's best finished stage.")]
_PICTURE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {"image/png": {}, "image/webp": {}}}
}  # Any: OpenAPI


@router.get("/runs/{run_id}/inside")
def get_inside(
    run_id: str, request: Request, session: ReadDep, services: ServicesDep, checkpoint: CheckpointQuery = None
) -> InsideRead:
    """What excites the units of each block, and how far training has changed them; or how far the look inside is."""
    return InsideRead.of(inside_of(session, services, run_id, checkpoint), request.scope["root_path"])


@router.post("/runs/{run_id}/inside", status_code=202)
def start_inside(
    run_id: str, request: Request, session: ReadDep, services: ServicesDep, checkpoint: CheckpointQuery = None
) -> InsideRead:
    """Look inside the network, in the background; nothing happens where that is done or under way."""
    return InsideRead.of(look(session, services, run_id, checkpoint), request.scope["root_path"])


@router.delete("/runs/{run_id}/inside")
def stop_inside(
    run_id: str, request: Request, session: ReadDep, services: ServicesDep, checkpoint: CheckpointQuery = None
) -> InsideRead:
    """End the look inside that is under way; what is done stays."""
    return InsideRead.of(stop(session, services, run_id, checkpoint), request.scope["root_path"])


@router.get("/runs/{run_id}/inside/pictures/{key}/{name}", response_class=Response, responses=_PICTURE)
def get_inside_picture(
    run_id: str,
    key: Annotated[str, Path(max_length=64)],
    name: Annotated[str, Path(max_length=64)],
    session: ReadDep,
    storage: StorageDep,
    checkpoint: Annotated[str, Query(max_length=64)],
) -> Response:
    """The first layer's filters as a PNG, or the patches of a unit as a WebP; `GET …/inside` has their addresses."""
    file = picture_file(session, storage, run_id, key, checkpoint, name)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise InsidePictureMissing from None
    media_type = "image/png" if file.suffix == ".png" else "image/webp"
    return Response(content, media_type=media_type, headers=picture_headers(f"{key}-{file.stem}"))
