"""The button that trains on the proposed labels at once."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from backend.caller import CallerDep
from backend.dependencies import ServicesDep
from backend.domain.ids import RunId
from backend.templating import address
from backend.training.train_now import LabelsUnclear, train_now

router = APIRouter(include_in_schema=False)


@router.post("/datasets/{dataset_id}/train")
def submit(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    dataset_id: str,
    run_id: Annotated[str, Form(pattern="^([0-9a-f]{32})?$")] = "",
) -> Response:
    """Start a training; where labels need a look first, lead there."""
    try:
        started = train_now(
            services.database,
            services.open_unit(),
            services.storage,
            services.settings.weights_folder,
            dataset_id,
            run_id=RunId(run_id) if run_id else None,
            asked_by=caller.token_id,
        )
    except LabelsUnclear:
        return RedirectResponse(address(request, f"/datasets/{dataset_id}/labels"), 303)
    return RedirectResponse(address(request, f"/runs/{started}"), 303)
