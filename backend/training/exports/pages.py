"""The page of a training's report."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from backend.dependencies import ReadDep, ServicesDep
from backend.domain.ids import CheckpointId, RunId
from backend.interpretation.find import results_of
from backend.training.exports.answers import report_answer

router = APIRouter(include_in_schema=False)


@router.get("/runs/{run_id}/report")
def report_page(
    request: Request,
    run_id: str,
    session: ReadDep,
    services: ServicesDep,
    checkpoint: Annotated[str | None, Query(max_length=64)] = None,
    download: bool = False,
) -> Response:
    """The report of the run's best model, or of the one that is named; ``download`` saves it as a file."""
    results = results_of(session, RunId(run_id), CheckpointId(checkpoint) if checkpoint else None)
    return report_answer(request, session, services, results.checkpoint_id, is_download=download)
