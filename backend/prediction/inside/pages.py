"""The page “Inside”: filters of the first layer, and the patches that excite the units of each block."""

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from backend.dependencies import ReadDep, ServicesDep
from backend.domain.inside import MOST_IMAGES, UNITS, When
from backend.interpretation import service as results_service
from backend.interpretation.context import OpenedDep, nothing_yet, results_context
from backend.prediction.inside import view
from backend.prediction.inside.service import inside_of, look, stop
from backend.prediction.inside.urls import filters_url, unit_url
from backend.templating import address, go_to, page

router = APIRouter(include_in_schema=False)

PATH: Final = "/inside"
AT_FIRST: Final = 6
"""Units of a block that are shown before somebody unfolds the others."""


@router.get("/runs/{run_id}/understand/inside")
def inside(request: Request, session: ReadDep, services: ServicesDep, opened: OpenedDep) -> Response:
    """What is known of the network's inside, how far the look inside is, or a button for one."""
    if opened.results is None:
        return nothing_yet(request, session, opened)
    results = opened.results
    standing = inside_of(session, services, results.run_id, results.checkpoint_id)
    summary = results_service.summary(session, results)
    found, dataset_id = standing.found, opened.head.dataset_id
    return page(
        request,
        "prediction/inside.html",
        **results_context(request, session, opened, results, summary, PATH),
        standing=standing,
        found=found,
        view=view,
        comparison_words=view.comparison_words(found, was_frozen=standing.was_frozen) if found else "",
        most_images=MOST_IMAGES,
        most_units=UNITS,
        at_first=AT_FIRST,
        filters_url=lambda when: address(request, filters_url(standing, When(when))),
        unit_url=lambda block, unit, when: address(request, unit_url(standing, block, unit, When(when))),
        picture_page=lambda image_id: address(request, f"/datasets/{dataset_id}/images/{image_id}"),
    )


@router.post("/runs/{run_id}/understand/inside")
def act(
    run_id: str,
    request: Request,
    session: ReadDep,
    services: ServicesDep,
    checkpoint: Annotated[str, Form(max_length=64)],
    action: Annotated[str, Form(max_length=20)] = "look",
) -> Response:
    """Look inside, or end the look that is under way."""
    path = f"/runs/{run_id}/understand{PATH}?checkpoint={checkpoint}"
    if action == "cancel":
        stop(session, services, run_id, checkpoint or None)
        return go_to(request, path, "Cancelled.")
    look(session, services, run_id, checkpoint or None)
    return go_to(request, path)
