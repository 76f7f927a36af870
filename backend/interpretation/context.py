"""What every page about a run's results begins with."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from backend.datasets.urls import image_url, thumbnail_url
from backend.dependencies import ReadDep, StorageDep
from backend.domain.ids import CheckpointId, RunId, new_id
from backend.domain.manifest import Split
from backend.interpretation.corrections import corrections_of
from backend.interpretation.find import OpenedRun, open_run
from backend.interpretation.service import Results, Summary
from backend.interpretation.tabs import tabs_of
from backend.interpretation.urls import heatmap_url
from backend.journey.steps import StepName, steps_of
from backend.templating import address, page


def _opened(
    run_id: str, session: ReadDep, storage: StorageDep, checkpoint: str | None = None, split: Split = Split.VALID
) -> OpenedRun:
    opened = open_run(session, RunId(run_id), CheckpointId(checkpoint) if checkpoint else None, split)
    return replace(opened, corrections=corrections_of(session, storage, opened.head.run_id))


OpenedDep = Annotated[OpenedRun, Depends(_opened)]


def head_context(session: Session, opened: OpenedRun, here: str = "Understand") -> dict[str, Any]:  # Any: for templates
    """What every page about a run's results shows."""
    head = opened.head
    return {
        "section": "runs",
        "head": head,
        "stages": opened.stages,
        "corrections": opened.corrections,
        "dataset_id": head.dataset_id,
        "new_run_id": new_id(),
        "crumbs": [
            ("Datasets", "/"),
            (head.dataset_name, f"/datasets/{head.dataset_id}"),
            (head.name, f"/runs/{head.run_id}"),
            (here, ""),
        ],
        "steps": steps_of(session, head.dataset_id, StepName.UNDERSTAND),
    }


def results_context(
    request: Request, session: Session, opened: OpenedRun, results: Results, summary: Summary, tab: str
) -> dict[str, Any]:  # Any: the template's context
    """What every page of results shows; ``tab``: the end of the address of the one that is open."""
    keep = _kept(opened, results)
    link = _linker(request, keep)
    return {
        **head_context(session, opened),
        "results": results,
        "summary": summary,
        "keep": keep,
        "link": link,
        "tabs": tabs_of(results.run_id, f"/understand{tab}", link),
        "run_path": f"/runs/{results.run_id}",
        "image_url": lambda image: address(request, image_url(image.image_id)),
        "image_page": lambda image: link(f"/runs/{results.run_id}/images/{image.image_id}"),
        "thumbnail_url": lambda image: address(request, thumbnail_url(image.image_id)),
        "heatmap_url": lambda image: address(
            request, heatmap_url(results.run_id, image.image_id, results.checkpoint_id)
        ),
    }


def nothing_yet(request: Request, session: Session, opened: OpenedRun) -> Response:
    """The page of a run without results."""
    return page(request, "interpretation/nothing_yet.html", **head_context(session, opened))


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
