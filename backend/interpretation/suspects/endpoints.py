"""Labels that are probably wrong, by REST."""

from fastapi import APIRouter, Request

from backend.dependencies import ReadDep, ServicesDep
from backend.domain.ids import RunId
from backend.interpretation.find import require_results
from backend.interpretation.suspects.schemas import SuspectRead, SuspectsRead
from backend.interpretation.suspects.service import Undecided, found_of, part_of
from backend.pagination import IdCursorDep, LimitQuery

router = APIRouter(prefix="/api/v1", tags=["understanding"])


@router.get("/runs/{run_id}/suspects")
def list_suspects(
    request: Request,
    run_id: str,
    session: ReadDep,
    services: ServicesDep,
    limit: LimitQuery = 100,
    after: IdCursorDep = None,
) -> SuspectsRead:
    """Pictures of the run's version whose label is probably wrong, the most suspect first.

    Large sets are computed in the background: `status` is `computing` then, and the list is empty.
    """
    head, results = require_results(session, RunId(run_id))
    found = found_of(session, services, head, results.checkpoint_id)
    if found is None:
        return SuspectsRead(items=[], status="computing")
    suspects = Undecided(session, services, head.dataset_id).suspects(found)
    shown, following = part_of(suspects, found, limit=limit, after=after)
    items = [SuspectRead.of(suspect, request.scope["root_path"]) for suspect in shown]
    examined = found.examined / found.images if found.images else None
    return SuspectsRead(items=items, next=following, status="ready", examined=examined)
