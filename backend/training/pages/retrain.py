"""The button that trains again with corrected labels."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from backend.caller import CallerDep
from backend.datasets.labels.unfrozen import LabelsUnchanged
from backend.dependencies import ServicesDep
from backend.domain.ids import RunId
from backend.templating import go_to
from backend.training.retrain import retrain

router = APIRouter(include_in_schema=False)


@router.post("/runs/{run_id}/retrain")
def submit(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    run_id: str,
    new_run_id: Annotated[str, Form(pattern="^([0-9a-f]{32})?$")] = "",
) -> Response:
    """Start the training, and lead to it."""
    try:
        started = retrain(
            services.database,
            services.open_unit(),
            services.storage,
            services.settings.weights_folder,
            run_id,
            run_id=RunId(new_run_id) if new_run_id else None,
            asked_by=caller.token_id,
        )
    except LabelsUnchanged as error:
        return go_to(request, f"/runs/{run_id}", f"{error.message} {error.advice}")
    return go_to(request, f"/runs/{started}")
