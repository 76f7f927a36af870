"""What changed between two runs, by REST."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from backend.dependencies import ReadDep, ServicesDep
from backend.pagination import IdCursorDep, LimitQuery, Page
from backend.training.compare.chance import chance_of
from backend.training.compare.schemas import ComparedImageRead, RunComparisonRead
from backend.training.compare.service import Choice, Listed, changed_images, compare_runs

router = APIRouter(prefix="/api/v1", tags=["understanding"])

CheckpointQuery = Annotated[str | None, Query(max_length=64)]


@router.get("/runs/{run_id}/compare/{other_id}")
def compare_two_runs(
    run_id: str,
    other_id: str,
    request: Request,
    session: ReadDep,
    services: ServicesDep,
    checkpoint: CheckpointQuery = None,
    other_checkpoint: CheckpointQuery = None,
    change: Annotated[
        Listed | None, Query(description="Which images to list; left out: all that have another answer than before.")
    ] = None,
    limit: LimitQuery = 100,
    after: IdCursorDep = None,
) -> RunComparisonRead:
    """What changed from the first run to the other, on the validation images that both were tried on.

    Of each run its best model is taken, or `checkpoint` and `other_checkpoint`; both are scored on the labels of today.
    `chance` says how many answers trainings change that differ by their seed alone. It is counted in the background
    when it is asked for first, for the later run.
    """
    compared = compare_runs(
        session, services.storage, Choice.of(run_id, checkpoint), Choice.of(other_id, other_checkpoint)
    )
    found = changed_images(session, compared, change, limit=limit + 1, after=after)
    root_path: str = request.scope.get("root_path", "")
    images = Page[ComparedImageRead].of(found, limit, lambda image: ComparedImageRead.of(image, root_path))
    return RunComparisonRead.of(compared, chance_of(services, compared), images)
