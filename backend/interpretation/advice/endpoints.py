"""What would help a run's results most, by REST."""

from fastapi import APIRouter, Request

from backend.dependencies import ReadDep, ServicesDep
from backend.domain.ids import CheckpointId, RunId
from backend.interpretation.advice.schemas import AdviceRead
from backend.interpretation.advice.service import advice_of
from backend.interpretation.find import require_results

router = APIRouter(prefix="/api/v1", tags=["understanding"])


@router.get("/runs/{run_id}/advice")
def read_advice(
    request: Request, run_id: str, session: ReadDep, services: ServicesDep, checkpoint: str | None = None
) -> AdviceRead:
    """What would mend most of a run's mistakes on its validation images: more pictures of a class, fixed labels, ….

    Numbers for classes and labels are estimates by linear models on kept features, scaled to the run's mistakes.
    """
    head, results = require_results(session, RunId(run_id), CheckpointId(checkpoint) if checkpoint else None)
    return AdviceRead.of(advice_of(session, services, head, results), request.scope["root_path"])
