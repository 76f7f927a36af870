"""What would help most, as a part of the overview of a run's results."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.dependencies import ReadDep, ServicesDep
from backend.domain.ids import CheckpointId, RunId
from backend.interpretation.advice.service import advice_of
from backend.interpretation.find import require_results
from backend.templating import page

router = APIRouter(include_in_schema=False)


@router.get("/runs/{run_id}/understand/advice")
def advice_part(
    request: Request, run_id: str, session: ReadDep, services: ServicesDep, checkpoint: str | None = None
) -> Response:
    """Fetched by the overview, as it may take a while."""
    head, results = require_results(session, RunId(run_id), CheckpointId(checkpoint) if checkpoint else None)
    return page(request, "interpretation/_advice.html", found=advice_of(session, services, head, results))
