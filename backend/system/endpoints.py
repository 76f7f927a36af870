"""REST: is it alive, is it ready, how is it doing."""

from typing import Any, Final

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from backend.dependencies import ReadDep, ServicesDep, StorageDep
from backend.system.metrics import metrics_text
from backend.system.overview import overview
from backend.system.readiness import OK, Readiness, readiness_of
from backend.system.schemas import Alive, Overview

router = APIRouter(tags=["server"])

_TEXT: Final[dict[str, Any]] = {"content": {"text/plain": {}}}  # Any: a piece of OpenAPI


@router.get("/healthz")
async def healthz() -> Alive:
    """Whether the process answers. Touches nothing, so it answers whatever else is wrong."""
    return Alive()


@router.get("/readyz", responses={503: {"description": "A part is missing"}})
async def readyz(request: Request, services: ServicesDep) -> dict[str, str]:
    """Whether database, queue and storage answer: `ok` for each, or what is the matter."""
    state = request.app.state
    if not isinstance(getattr(state, "readiness", None), Readiness):
        state.readiness = readiness_of(services)
    words: dict[str, str] = await state.readiness.words()
    is_ready = all(word == OK for word in words.values())
    return JSONResponse(words, 200 if is_ready else 503)  # type: ignore[return-value]  # the status depends


@router.get("/metrics", response_class=Response, responses={200: _TEXT})
def metrics(session: ReadDep, storage: StorageDep) -> Response:
    """Numbers for Prometheus; give its scraper a token as `authorization: credentials`."""
    return Response(metrics_text(session, storage), headers={"Content-Type": CONTENT_TYPE_LATEST})


@router.get("/api/v1/system")
def system(session: ReadDep, storage: StorageDep) -> Overview:
    """Version, workers and their devices, what waits, and the room that is left."""
    return overview(session, storage)
