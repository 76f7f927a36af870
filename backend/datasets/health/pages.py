"""The page of a dataset's health, and what its buttons do."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from backend.caller import CallerDep
from backend.datasets.context import dataset_context
from backend.datasets.health.acting import act, freeze_again
from backend.datasets.health.errors import FindingGone
from backend.datasets.health.finding import Action
from backend.datasets.health.service import health
from backend.datasets.health.view import health_view
from backend.datasets.labels.ledger.errors import NothingToUndo
from backend.datasets.labels.ledger.undo import undo
from backend.datasets.labels.repository import LabelLedger, author_name
from backend.datasets.repository import DatasetRepository
from backend.dependencies import ReadDep, ServicesDep, StorageDep
from backend.journey.steps import StepName
from backend.templating import go_to, page

router = APIRouter(include_in_schema=False)

WORST = 3
"""Findings that are shown beside the first batch."""


@router.get("/datasets/{dataset_id}/health")
def show_health(request: Request, session: ReadDep, storage: StorageDep, dataset_id: str, done: str = "") -> Response:
    """What is wrong with a dataset, the worst first; after an action, what was done, with undo."""
    context = dataset_context(session, dataset_id, StepName.LOOK) | {"here": "Health"}
    found = health(session, storage, dataset_id)
    undoable = LabelLedger(session).batch(dataset_id, done) if done else None
    return page(
        request,
        "datasets/health.html",
        **context,
        health=health_view(dataset_id, found),
        undoable=undoable if undoable is not None and undoable.undone_order is None else None,
    )


@router.get("/datasets/{dataset_id}/health/worst")
def show_worst(request: Request, session: ReadDep, storage: StorageDep, dataset_id: str) -> Response:
    """The worst findings, a sentence each, as a part of other pages."""
    found = health(session, storage, dataset_id)
    return page(
        request,
        "datasets/_worst.html",
        dataset=DatasetRepository(session).get(dataset_id),
        health=health_view(dataset_id, found, most=WORST),
        more_findings=len(found.findings) - WORST,
    )


@router.post("/datasets/{dataset_id}/health")
def act_on_finding(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    dataset_id: str,
    finding: Annotated[str, Form(max_length=400)],
    action: Annotated[Action, Form()],
    ids: Annotated[list[str], Form(max_length=1000)] = [],  # noqa: B006  # FastAPI copies it
    label: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Do what a finding offers, and show the page again."""
    path = f"/datasets/{dataset_id}/health"
    try:
        acted = act(
            services.database,
            services.storage,
            dataset_id,
            finding,
            action,
            author_name(services.database, caller.token_id),
            image_ids=ids,
            label=label or None,
        )
    except FindingGone as gone:
        return go_to(request, path, gone.message)
    return go_to(request, f"{path}?done={acted.batch_id}" if acted.batch_id else path, acted.message)


@router.post("/datasets/{dataset_id}/health/undo")
def undo_action(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    dataset_id: str,
    batch_id: Annotated[str, Form(max_length=64)],
) -> Response:
    """Undo what was done about a finding."""
    try:
        batch = undo(services.database, dataset_id, author_name(services.database, caller.token_id), batch_id)
    except NothingToUndo:
        return go_to(request, f"/datasets/{dataset_id}/health")
    return go_to(request, f"/datasets/{dataset_id}/health", f"Undone: {batch.words}")


@router.post("/datasets/{dataset_id}/health/freeze")
def freeze_labels(request: Request, services: ServicesDep, dataset_id: str) -> Response:
    """A new version with the labels as they stand, which trainings read from then on."""
    version = freeze_again(services.database, services.storage, dataset_id)
    return go_to(request, f"/versions/{version.id}", f"Version {version.number} has your changes.")
