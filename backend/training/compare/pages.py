"""The page that compares two runs, and the ways to it."""

from itertools import zip_longest
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from backend.datasets.urls import image_url, thumbnail_url
from backend.dependencies import ReadDep, ServicesDep
from backend.domain.errors import Conflict
from backend.domain.ids import DatasetId
from backend.domain.results import accuracy_words
from backend.domain.trends import Change
from backend.interpretation.service import NoResultsYet
from backend.interpretation.tabs import tabs_of
from backend.journey.steps import StepName, steps_of
from backend.pagination import IdCursorDep
from backend.templating import address, go_to, page
from backend.training.compare.chance import chance_of
from backend.training.compare.errors import NoPicturesInCommon
from backend.training.compare.service import (
    Choice,
    Compared,
    ComparedImage,
    Listed,
    changed_images,
    comparable_runs,
    compare_runs,
)
from backend.training.repository import RunRepository
from backend.training.run_list import best_result
from backend.training.run_view import RunView, show_run

router = APIRouter(include_in_schema=False)

STRIP: Final = 12
PAGE: Final = 60
LISTS: Final = (
    (Listed.RELABELLED, "Label corrected"),
    (Listed.NOW_RIGHT, "Now right"),
    (Listed.NOW_WRONG, "Now wrong"),
    (Listed.STILL_WRONG, "Still wrong"),
)
RunIdQuery = Annotated[str, Query(max_length=64)]
CheckpointQuery = Annotated[str | None, Query(max_length=64)]


@router.get("/runs/compare")
def choose_two(
    request: Request,
    session: ReadDep,
    run: Annotated[list[str], Query(default_factory=list, max_length=500)],
    before: RunIdQuery = "",
    after: RunIdQuery = "",
    checkpoint: CheckpointQuery = None,
    other_checkpoint: CheckpointQuery = None,
) -> Response:
    """Lead to the comparison of two runs: ``before`` and ``after``, or the two of a list, the older one first."""
    chosen = [before, after] if before and after else sorted({*run})
    if len(chosen) != 2:
        return go_to(request, "/runs", "Select two runs of one dataset, then press Compare.")
    # A model is left behind where its run isn't compared any more, or on the other side.
    models = RunRepository(session).checkpoints(chosen)
    first, second = (
        model if any(row.id == model for row in models.get(run_id, ())) else None
        for run_id, model in zip(chosen, (checkpoint, other_checkpoint), strict=True)
    )
    return go_to(request, _path(*chosen, checkpoint=first, other_checkpoint=second))


@router.get("/runs/{run_id}/compare")
def compare_with_another(
    request: Request, run_id: str, session: ReadDep, checkpoint: CheckpointQuery = None
) -> Response:
    """Lead to the comparison with the run before this one, else with the one after it."""
    run = show_run(session, run_id)
    others = [other.id for other in comparable_runs(session, run.dataset_id) if other.id != run_id]
    if not others or not run.checkpoints:
        return _nothing(request, session, run, run, None)
    earlier = next((other for other in others if other < run_id), None)
    if earlier:
        return go_to(request, _path(earlier, run_id, other_checkpoint=checkpoint))
    return go_to(request, _path(run_id, others[-1], checkpoint=checkpoint))


@router.get("/runs/{run_id}/compare/{other_id}")
def compare_page(
    request: Request,
    run_id: str,
    other_id: str,
    session: ReadDep,
    services: ServicesDep,
    checkpoint: CheckpointQuery = None,
    other_checkpoint: CheckpointQuery = None,
    change: Listed | None = None,
    after: IdCursorDep = None,
) -> Response:
    """Whether the second run is better than the first, and the pictures that show it."""
    try:
        compared = compare_runs(
            session, services.storage, Choice.of(run_id, checkpoint), Choice.of(other_id, other_checkpoint)
        )
    except (NoPicturesInCommon, NoResultsYet) as refusal:
        return _nothing(request, session, show_run(session, run_id), show_run(session, other_id), refusal)
    models = {"checkpoint": checkpoint, "other_checkpoint": other_checkpoint}

    def here(**query: str | None) -> str:
        return _path(run_id, other_id, **models, **query)

    lists = [
        _list(session, compared, listed, title, after if change else None, PAGE if change else STRIP)
        for listed, title in LISTS
        if change is listed or (change is None and (compared.relabelled or listed is not Listed.RELABELLED))
    ]
    better = compared.before if compared.verdict.change is Change.WORSE else compared.after
    return page(
        request,
        "training/compare.html",
        **_frame(request, session, compared.before.run, compared.after.run),
        compared=compared,
        chance=chance_of(services, compared),
        better=better,
        lists=lists,
        change=change,
        here=here,
        swapped=_path(other_id, run_id, checkpoint=other_checkpoint, other_checkpoint=checkpoint),
        is_further=after is not None,
        epochs=_epochs(session, compared),
        image_url=lambda image: address(request, image_url(image.id, image.after.digest)),
        thumbnail_url=lambda image: address(request, thumbnail_url(image.id, digest=image.after.digest)),
    )


def _list(
    session: Session, compared: Compared, listed: Listed, title: str, after: str | None, limit: int
) -> dict[str, Any]:  # Any: the template's context
    found = changed_images(session, compared, listed, limit=limit + 1, after=after)
    shown: list[ComparedImage] = found[:limit]
    return {
        "change": listed.value,
        "title": title,
        "count": len(compared.listed(listed)),
        "images": shown,
        "next": shown[-1].id if len(found) > limit else None,
    }


def _epochs(session: Session, compared: Compared) -> list[tuple[Any, Any]]:  # Any: rows of epochs, None past the end
    """Rows of both epoch tables side by side; none where both models are of one run."""
    runs = RunRepository(session)
    before, after = compared.before.run.id, compared.after.run.id
    return [] if before == after else list(zip_longest(runs.epochs(before), runs.epochs(after)))


def _nothing(request: Request, session: Session, before: RunView, after: RunView, refusal: Conflict | None) -> Response:
    return page(request, "training/compare_nothing.html", **_frame(request, session, before, after), refusal=refusal)


def _frame(
    request: Request, session: Session, before: RunView, after: RunView
) -> dict[str, Any]:  # Any: the template's context
    # A run that is too old for the list can still be compared by its address.
    runs = {run.id: run for run in (*comparable_runs(session, after.dataset_id), before, after)}
    return {
        "section": "runs",
        "before": before,
        "after": after,
        "runs": [(run.id, _words(run)) for run in runs.values()],
        "tabs": tabs_of(after.id, "/compare", lambda path: address(request, path)),
        "crumbs": [
            ("Datasets", "/"),
            (after.dataset_name, f"/datasets/{after.dataset_id}"),
            (after.name, f"/runs/{after.id}"),
            ("Compare", ""),
        ],
        "steps": steps_of(session, DatasetId(after.dataset_id), StepName.UNDERSTAND),
    }


def _words(run: RunView) -> str:
    result = best_result(run)
    score = accuracy_words(result.errors, result.images).partition(" (")[0] if result else "no result yet"
    return f"{run.name}, version {run.version_number}: {score}"


def _path(before: str, after: str, /, **query: str | None) -> str:
    given = urlencode({name: value for name, value in query.items() if value})
    return f"/runs/{quote(before, safe='')}/compare/{quote(after, safe='')}" + (f"?{given}" if given else "")
