"""What every page about a run's results begins with."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from backend.dependencies import ReadDep, StorageDep
from backend.domain.ids import CheckpointId, RunId, new_id
from backend.domain.manifest import Split
from backend.interpretation.corrections import corrections_of
from backend.interpretation.find import OpenedRun, open_run
from backend.journey.steps import StepName, steps_of
from backend.templating import page


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


def nothing_yet(request: Request, session: Session, opened: OpenedRun) -> Response:
    """The page of a run without results."""
    return page(request, "interpretation/nothing_yet.html", **head_context(session, opened))
