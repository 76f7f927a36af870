"""What all pages of results have in common: which run they are about, and their frame."""

from collections.abc import Callable
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from backend.datasets.urls import image_url, thumbnail_url
from backend.dependencies import ReadDep
from backend.domain.ids import CheckpointId, RunId
from backend.domain.manifest import Split
from backend.interpretation.find import OpenedRun, open_run
from backend.interpretation.service import Results, Summary
from backend.interpretation.urls import heatmap_url
from backend.journey.steps import StepName, steps_of
from backend.templating import address, page

TABS: Final = (
    ("", "Overview"),
    ("/confusions", "Confusion matrix"),
    ("/top-losses", "Top losses"),
    ("/classes", "Results by class"),
)


def _opened(run_id: str, session: ReadDep, checkpoint: str | None = None, split: Split = Split.VALID) -> OpenedRun:
    return open_run(session, RunId(run_id), CheckpointId(checkpoint) if checkpoint else None, split)


OpenedDep = Annotated[OpenedRun, Depends(_opened)]


def results_context(
    request: Request, session: Session, opened: OpenedRun, results: Results, summary: Summary, tab: str
) -> dict[str, Any]:  # Any: the template's context
    """What every page of results shows; ``tab``: the end of the address of the one that is open."""
    base = f"/runs/{results.run_id}/understand"
    keep = _kept(opened, results)
    link = _linker(request, keep)
    return {
        **_head(request, session, opened),
        "results": results,
        "summary": summary,
        "keep": keep,
        "link": link,
        "tabs": [{"name": name, "href": link(base + path), "is_current": path == tab} for path, name in TABS],
        "run_path": f"/runs/{results.run_id}",
        "image_url": lambda image: address(request, image_url(image.image_id)),
        "image_page": lambda image: link(f"/runs/{results.run_id}/images/{image.image_id}"),
        "thumbnail_url": lambda image: address(request, thumbnail_url(image.image_id)),
        "heatmap_url": lambda image: address(
            request, heatmap_url(results.run_id, image.image_id, results.checkpoint_id)
        ),
    }


def _head(request: Request, session: Session, opened: OpenedRun) -> dict[str, Any]:  # Any: as above
    head = opened.head
    return {
        "section": "runs",
        "head": head,
        "stages": opened.stages,
        "crumbs": [
            ("Datasets", "/"),
            (head.dataset_name, f"/datasets/{head.dataset_id}"),
            (head.name, f"/runs/{head.run_id}"),
            ("Understand", ""),
        ],
        "steps": steps_of(session, head.dataset_id, StepName.UNDERSTAND),
    }


def nothing_yet(request: Request, session: Session, opened: OpenedRun) -> Response:
    """The page of a run of which no stage is finished."""
    return page(request, "interpretation/nothing_yet.html", **_head(request, session, opened))


def _kept(opened: OpenedRun, results: Results) -> dict[str, str]:
    """What every link on the page carries along: the stage and split, where they aren't the usual ones."""
    kept: dict[str, str] = {}
    if results.checkpoint_id != min(opened.stages, key=lambda stage: stage.rank).checkpoint_id:
        kept["checkpoint"] = results.checkpoint_id
    if results.split is not Split.VALID:
        kept["split"] = results.split.value
    return kept


def _linker(request: Request, keep: dict[str, str]) -> Callable[..., str]:
    def link(path: str, **query: object) -> str:
        given = {key: value for key, value in {**keep, **query}.items() if value not in (None, "", False)}
        return address(request, path) + (f"?{urlencode(given)}" if given else "")

    return link
