"""The page of a dataset's versions: what changed between two, and the ledger of labels with its undo."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from backend.caller import CallerDep
from backend.datasets.context import dataset_context
from backend.datasets.labels.ledger.undo import redo, undo
from backend.datasets.labels.repository import LabelLedger
from backend.datasets.labels.version_view import version_lines
from backend.datasets.labels.versions.compare import compared
from backend.datasets.labels.versions.repository import Difference, VersionComparison
from backend.datasets.urls import thumbnail_url
from backend.datasets.version_repository import VersionRepository
from backend.dependencies import ReadDep, ServicesDep
from backend.domain.errors import Conflict
from backend.journey.steps import StepName
from backend.pagination import IdCursorDep
from backend.templating import go_to, page

router = APIRouter(include_in_schema=False)

BATCHES = 20
CHANGES_SHOWN = 12
PICTURES_A_PAGE = 60
_VERSIONS = 1_000
KINDS = (
    (Difference.RELABELLED, "relabelled"),
    (Difference.ADDED, "added"),
    (Difference.GONE, "gone"),
    (Difference.MOVED, "on another side"),
)
_SIDES = {"train": "training", "valid": "validation", "test": "test"}


@router.get("/datasets/{dataset_id}/versions")
def versions(
    request: Request,
    session: ReadDep,
    dataset_id: str,
    before: Annotated[int | None, Query(alias="from", ge=1, le=2**31 - 1)] = None,
    to: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    kind: Difference | None = None,
    after: IdCursorDep = None,
    older: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> Response:
    """Every version, what changed from one (``from``) to another, and every change of labels."""
    context = dataset_context(session, dataset_id, StepName.LABELS) | {"here": "Versions"}
    lines = version_lines(session, dataset_id)
    # An earlier version may be compared as well that the list doesn't show any more.
    ids = {row.number: row.id for row in VersionRepository(session).of_dataset(dataset_id, limit=_VERSIONS)}
    comparison: dict[str, Any] | None = None  # Any: the template's context
    if before in ids and to in ids:
        comparison = _comparison(session, ids[before], ids[to], kind, after)
    return page(
        request,
        "datasets/versions.html",
        **context,
        versions=lines,
        numbers=[(str(number), f"Version {number}") for number in ids],
        chosen_from=str(before or (lines[1].number if len(lines) > 1 else "")),
        chosen_to=str(to or (lines[0].number if lines else "")),
        comparison=comparison,
        next_path=_path(dataset_id, {**{"from": before, "to": to}, **comparison["more"]})
        if comparison and comparison["more"]
        else None,
        **_ledger(session, dataset_id, older),
    )


@router.post("/datasets/{dataset_id}/labels/undo")
def undo_action(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    dataset_id: str,
    batch_id: Annotated[str, Form(max_length=64)],
    action: Annotated[str, Form(max_length=10)] = "undo",
) -> Response:
    """Undo one action on labels, or bring it back."""
    path = f"/datasets/{dataset_id}/versions#changes"
    try:
        if action == "redo":
            batch = redo(services.database, dataset_id, batch_id)
            return go_to(request, path, f"Back again: {batch.words}")
        with services.database.read() as session:
            who = LabelLedger(session).name_of(caller.token_id)
        batch = undo(services.database, dataset_id, who, batch_id)
    except Conflict as error:
        return go_to(request, path, error.message)
    return go_to(request, path, f"Undone: {batch.words}")


def _comparison(
    session: Session, before_id: str, after_id: str, kind: Difference | None, after: str | None
) -> dict[str, Any]:  # Any: the template's context
    found = compared(session, before_id, after_id)
    shown = kind or next((some for some, _ in KINDS if found.counts[some]), Difference.RELABELLED)
    rows = VersionComparison(session, before_id, after_id).images(shown, limit=PICTURES_A_PAGE + 1, after=after)
    pictures = [
        {
            "id": image.id,
            "path": image.path,
            "thumbnail": thumbnail_url(image.id, digest=image.digest),
            "words": _words(shown, image.label_before, image.label_after, image.split_before, image.split_after),
        }
        for image in rows[:PICTURES_A_PAGE]
    ]
    return {
        "before": found.before,
        "after": found.after,
        "classes": found.classes,
        "kinds": [(some.value, words, found.counts[some]) for some, words in KINDS],
        "kind": shown.value,
        "pictures": pictures,
        "more": {"kind": shown.value, "after": pictures[-1]["id"]} if len(rows) > PICTURES_A_PAGE else None,
    }


def _words(
    kind: Difference, label_before: str | None, label_after: str | None, split_before: str | None, split: str | None
) -> str:
    if kind is Difference.MOVED:
        return f"{_SIDES.get(split_before or '', '')} → {_SIDES.get(split or '', '')}"
    if kind is Difference.RELABELLED:
        return f"{label_before} → {label_after}"
    return label_after or label_before or ""


def _ledger(session: Session, dataset_id: str, older: int | None) -> dict[str, Any]:  # Any: the template's context
    ledger = LabelLedger(session)
    batches = ledger.batches(dataset_id, limit=BATCHES + 1, before=older)
    shown = batches[:BATCHES]
    changes = ledger.first_changes([batch.id for batch in shown], CHANGES_SHOWN)
    return {
        "batches": [(batch, changes.get(batch.id, [])) for batch in shown],
        "older_path": _path(dataset_id, {"older": shown[-1].number}) if len(batches) > BATCHES else None,
        "newest_path": f"/datasets/{dataset_id}/versions" if older else None,
        "thumbnail_of": lambda change: thumbnail_url(change.image_id, digest=change.key),
    }


def _path(dataset_id: str, query: dict[str, Any]) -> str:  # Any: numbers and texts
    asked = urlencode({name: value for name, value in query.items() if value})
    return f"/datasets/{dataset_id}/versions?{asked}"
