"""Pages of results: overview, top losses, classes, and the images behind every number."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BeforeValidator
from sqlalchemy.orm import Session
from starlette.responses import Response

from backend.dependencies import ReadDep
from backend.interpretation import service
from backend.interpretation.answers import Filter
from backend.interpretation.class_table import SortBy, class_table
from backend.interpretation.context import OpenedDep, nothing_yet, results_context
from backend.interpretation.find import OpenedRun
from backend.templating import page

router = APIRouter(include_in_schema=False)

PAGE = 48
WORST = 12


def _empty_is_open(value: object) -> object:
    return None if value == "" else value


# A form without a script sends its empty fields as well.
Percent = Annotated[int | None, Query(ge=0, le=101), BeforeValidator(_empty_is_open)]


def _chosen(
    actual: str = "",
    predicted: str = "",
    wrong: bool = False,
    sure_from: Percent = None,
    sure_below: Percent = None,
) -> Filter:
    return Filter(
        actual=actual or None,
        predicted=predicted or None,
        wrong=wrong,
        sure_from=None if sure_from is None else sure_from / 100,
        sure_below=None if sure_below is None else sure_below / 100,
    )


FilterDep = Annotated[Filter, Depends(_chosen)]


@router.get("/runs/{run_id}/understand")
def overview(request: Request, session: ReadDep, opened: OpenedDep) -> Response:
    """Accuracy with its interval, confidences, most confused pairs, and the worst mistakes."""
    if opened.results is None:
        return nothing_yet(request, session, opened)
    summary = service.summary(session, opened.results)
    pairs = service.confused_pairs(session, opened.results, min_count=1)
    context = results_context(request, session, opened, opened.results, summary, "")
    return page(
        request,
        "interpretation/overview.html",
        **context,
        certainty=service.certainty(session, opened.results),
        pairs=pairs[:6],
        more_pairs=max(0, len(pairs) - 6),
        faces=service.faces(session, opened.results, pairs[:6], each=4),
        worst=service.images(session, opened.results, Filter(wrong=True), limit=WORST)[0],
    )


@router.get("/runs/{run_id}/understand/top-losses")
def top_losses(
    request: Request, session: ReadDep, opened: OpenedDep, chosen: FilterDep, after: str | None = None
) -> Response:
    """A gallery, worst first."""
    return _gallery(request, session, opened, chosen, after, "/top-losses")


@router.get("/runs/{run_id}/images")
def images(
    request: Request, session: ReadDep, opened: OpenedDep, chosen: FilterDep, after: str | None = None
) -> Response:
    """The images behind one number."""
    return _gallery(request, session, opened, chosen, after, "/images")


@router.get("/runs/{run_id}/understand/classes")
def classes(
    request: Request, session: ReadDep, opened: OpenedDep, sort: SortBy = SortBy.NAME, down: bool = False
) -> Response:
    """A table with the figures of every class."""
    if opened.results is None:
        return nothing_yet(request, session, opened)
    summary = service.summary(session, opened.results)
    return page(
        request,
        "interpretation/classes.html",
        **results_context(request, session, opened, opened.results, summary, "/classes"),
        rows=class_table(summary.per_class, sort, down=down),
        sort=sort,
        down=down,
    )


def _gallery(
    request: Request, session: Session, opened: OpenedRun, chosen: Filter, after: str | None, tab: str
) -> Response:
    if opened.results is None:
        return nothing_yet(request, session, opened)
    summary = service.summary(session, opened.results)
    found, following = service.images(session, opened.results, chosen, limit=PAGE, after=after)
    here = {key: value for key, value in request.query_params.items() if key not in ("after", "checkpoint", "split")}
    return page(
        request,
        "interpretation/gallery.html",
        **results_context(request, session, opened, opened.results, summary, tab),
        chosen=chosen,
        images=found,
        count=service.count_images(session, opened.results, chosen),
        following=following,
        after=after,
        here={key: value for key, value in here.items() if value},
        is_cell=tab == "/images",
    )
