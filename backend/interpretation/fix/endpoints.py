"""The pictures of a fix sprint, by REST."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from backend.dependencies import ReadDep, ServicesDep
from backend.domain.ids import RunId
from backend.interpretation.answers import Filter
from backend.interpretation.find import require_results
from backend.interpretation.fix.schemas import SprintRead
from backend.interpretation.fix.sprint import Source, sprint

router = APIRouter(prefix="/api/v1", tags=["understanding"])

Text = Annotated[str, Query(max_length=200)]


@router.get("/runs/{run_id}/fix")
def get_sprint(
    request: Request,
    run_id: str,
    session: ReadDep,
    services: ServicesDep,
    source: Annotated[Source, Query(alias="from")] = Source.SUSPECTS,
    actual: Text = "",
    predicted: Text = "",
    class_name: Annotated[str, Query(alias="class", max_length=200)] = "",
    after: Annotated[str | None, Query(max_length=100, description="The value of `next` on the page before.")] = None,
) -> SprintRead:
    """The next thirty pictures whose labels are worth a look, with the classes that each may belong to.

    Pictures about which somebody has decided are left out.
    """
    head, results = require_results(session, RunId(run_id))
    chosen = Filter(actual=class_name or actual or None, predicted=predicted or None)
    found = sprint(session, services, head, results, source, chosen, after=after)
    return SprintRead.of_sprint(found, request.scope["root_path"])
