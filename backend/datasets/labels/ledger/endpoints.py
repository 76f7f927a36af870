"""Changes of labels by REST: make them, undo them, list them, and take labels from a CSV."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from starlette.responses import JSONResponse, StreamingResponse

from backend.bodies import LargeJsonRoute
from backend.caller import Caller, CallerDep
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.corrections import present_rule
from backend.datasets.labels.ledger.changes import Wish, change_classes, change_labels, change_selected, set_rule
from backend.datasets.labels.ledger.csv_in import read_labels, report_csv, stored_table, take_labels
from backend.datasets.labels.ledger.csv_out import changes_csv, labels_csv
from backend.datasets.labels.ledger.schemas import (
    BatchRequest,
    ChangedRead,
    ChangeRead,
    ClassesChange,
    LabelsPatch,
    RuleChange,
    RuleRead,
    TableTakenRead,
    UndoneRead,
)
from backend.datasets.labels.ledger.undo import redo, undo
from backend.datasets.labels.repository import Author, ChangeFilter, LabelLedger, author_name
from backend.datasets.repository import DatasetRepository
from backend.datasets.serving import download_headers
from backend.dependencies import ReadDep, Services, ServicesDep, StorageDep
from backend.pagination import IdCursorDep, LimitQuery, Page

router = APIRouter(prefix="/api/v1", tags=["labels and versions"], route_class=LargeJsonRoute)
_CSV = "text/csv; charset=utf-8"


@router.patch("/datasets/{dataset_id}/labels")
def patch_labels(dataset_id: str, body: LabelsPatch, services: ServicesDep, caller: CallerDep) -> ChangedRead:
    """Give pictures labels by hand, all or none of them; one entry in the ledger each, undone together."""
    author = body.by(author_name(services.database, caller.token_id))
    if body.select is not None:
        wish = Wish("", body.label, body.to_rule)
        chosen = body.select.selection
        done = change_selected(services.database, services.storage, dataset_id, chosen, wish, author)
    else:
        wishes = [change.wish for change in body.changes or []]
        done = change_labels(services.database, services.storage, dataset_id, wishes, author)
    return ChangedRead.of(done)


@router.post("/datasets/{dataset_id}/labels/classes")
def change_class_names(dataset_id: str, body: ClassesChange, services: ServicesDep, caller: CallerDep) -> ChangedRead:
    """Rename a class, merge several, or leave them out; files and frozen versions stay as they are."""
    author = body.by(author_name(services.database, caller.token_id))
    return ChangedRead.of(
        change_classes(services.database, services.storage, dataset_id, body.classes, body.to, author)
    )


@router.post("/datasets/{dataset_id}/labels/undo")
def undo_labels(
    dataset_id: str, services: ServicesDep, caller: CallerDep, body: BatchRequest | None = None
) -> UndoneRead:
    """Undo an action on labels: the newest that counts, or the one that is named, in any order."""
    who = author_name(services.database, caller.token_id)
    return UndoneRead.of(undo(services.database, dataset_id, who, body.batch_id if body else None))


@router.post("/datasets/{dataset_id}/labels/redo")
def redo_labels(dataset_id: str, services: ServicesDep, body: BatchRequest | None = None) -> UndoneRead:
    """Bring back the action that was undone last, or the one that is named."""
    return UndoneRead.of(redo(services.database, dataset_id, body.batch_id if body else None))


@router.get("/datasets/{dataset_id}/labels/rule")
def get_rule(dataset_id: str, session: ReadDep) -> RuleRead:
    """The rule and the split that the labels follow at present, before changes by hand."""
    DatasetRepository(session).get(dataset_id)
    present = present_rule(session, dataset_id)
    if present is None:
        return RuleRead(rule=None, split=None)
    rule, split = present.rule, present.split
    return RuleRead(
        rule=rule.model_dump(mode="json", exclude_none=True), split=split.model_dump(mode="json", exclude_none=True)
    )


@router.put("/datasets/{dataset_id}/labels/rule")
def put_rule(dataset_id: str, body: RuleChange, services: ServicesDep) -> RuleRead:
    """Let the labels follow another rule, without freezing a version; freezing one does so too."""
    set_rule(services.database, services.storage, dataset_id, body.rule, body.split)
    with services.database.read() as session:
        return get_rule(dataset_id, session)


@router.get("/datasets/{dataset_id}/labels/changes")
def list_changes(
    dataset_id: str,
    session: ReadDep,
    limit: LimitQuery = 100,
    after: IdCursorDep = None,
    image_id: Annotated[str | None, Query(max_length=64)] = None,
    batch_id: Annotated[str | None, Query(max_length=64)] = None,
    run_id: Annotated[str | None, Query(max_length=64)] = None,
) -> Page[ChangeRead]:
    """The ledger of labels, the newest change first; undone ones stay in it."""
    repository = DatasetRepository(session)
    repository.get(dataset_id)
    digest = repository.image(image_id).digest if image_id else None
    found = LabelLedger(session).changes(
        dataset_id, ChangeFilter(digest, batch_id, run_id), limit=limit + 1, after=after
    )
    shown = found[:limit]
    return Page[ChangeRead](
        items=[ChangeRead.of(change, batch) for change, batch in shown],
        next=shown[-1][0].id if len(found) > limit else None,
    )


@router.get("/datasets/{dataset_id}/labels/changes.csv", response_class=StreamingResponse)
def download_changes(
    dataset_id: str,
    services: ServicesDep,
    batch_id: Annotated[str | None, Query(max_length=64)] = None,
    run_id: Annotated[str | None, Query(max_length=64)] = None,
) -> StreamingResponse:
    """The ledger of labels as CSV."""
    with services.database.read() as session:
        name = DatasetRepository(session).get(dataset_id).name
    rows = changes_csv(services.database, dataset_id, ChangeFilter(None, batch_id, run_id))
    return StreamingResponse(rows, media_type=_CSV, headers=download_headers(f"{name} label changes.csv"))


@router.get("/datasets/{dataset_id}/labels.csv", response_class=StreamingResponse)
def download_labels(dataset_id: str, session: ReadDep, storage: StorageDep) -> StreamingResponse:
    """The labels as they stand, a row for each picture; sending the file back gives the same labels."""
    rows = labels_csv(DatasetContent.of(session, storage, dataset_id))
    name = DatasetRepository(session).get(dataset_id).name
    return StreamingResponse(rows, media_type=_CSV, headers=download_headers(f"{name} labels.csv"))


@router.post(
    "/datasets/{dataset_id}/labels.csv",
    response_model=TableTakenRead,
    openapi_extra={
        "requestBody": {"content": {"text/csv": {"schema": {"type": "string", "format": "binary"}}}, "required": False}
    },
)
async def upload_labels(
    dataset_id: str,
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    table: Annotated[
        str | None, Query(max_length=4096, description="A table among the files, instead of a body.")
    ] = None,
    report: Annotated[bool, Query(description="Change nothing; answer with what fits nothing, as CSV.")] = False,
) -> Response:
    """Take the labels of a CSV, all of them in one action: ours, or any table with names of pictures and labels."""
    content = b"" if table else await request.body()
    return await to_thread.run_sync(_take, services, caller, dataset_id, content, table, report)


def _take(
    services: Services, caller: Caller, dataset_id: str, body: bytes, table: str | None, is_report: bool
) -> Response:
    name = table or "labels.csv"
    with services.database.read() as session:
        content = DatasetContent.of(session, services.storage, dataset_id)
        body = stored_table(content, table) if table else body
        if is_report:
            rows = report_csv(read_labels(content, name, body))
            return StreamingResponse(rows, media_type=_CSV, headers=download_headers("labels report.csv"))
    author = Author(author_name(services.database, caller.token_id), f"table {name}"[:200])
    found, done = take_labels(services.database, services.storage, dataset_id, name, body, author)
    return JSONResponse(TableTakenRead.of_table(found, done).model_dump(mode="json"))
