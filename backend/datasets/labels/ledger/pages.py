"""What the pages of labels change: names of classes, labels from a table, and the rule before labelling by hand."""

import json
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from backend.caller import Caller, CallerDep
from backend.datasets.body import files_of_form, limited, read_in_thread
from backend.datasets.errors import EmptyUpload
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.form import LabelForm
from backend.datasets.labels.ledger.changes import Done, change_classes, set_rule
from backend.datasets.labels.ledger.csv_in import TableLabels, read_labels, report_csv, take_labels
from backend.datasets.labels.ledger.errors import EmptyLabel
from backend.datasets.labels.repository import Author, author_name
from backend.datasets.labels.selection import Show
from backend.datasets.labels.tables import MAX_TABLE_BYTES
from backend.datasets.serving import download_headers
from backend.dependencies import Services, ServicesDep
from backend.domain.errors import AppError, InvalidInput
from backend.templating import counted, go_to, is_fragment

router = APIRouter(include_in_schema=False)


async def _form(request: Request) -> LabelForm:
    return LabelForm.of_fields(await request.form())


FormDep = Annotated[LabelForm, Depends(_form)]


@router.post("/datasets/{dataset_id}/labels/classes")
def change_class_names_of_page(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    dataset_id: str,
    form: FormDep,
    change: Annotated[str, Form(max_length=300_000)] = "",
    edit: Annotated[str, Form(max_length=20)] = "",
    edit_class: Annotated[str, Form(max_length=400)] = "",
    edit_to: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    """Rename, merge or leave out classes as the form's rule gives them: ``change`` of a button, or fields ``edit``."""
    path = f"/datasets/{dataset_id}/labels"
    try:
        names, to = _asked(change) if change else ([edit_class], None if edit == "leave-out" else edit_to)
        if to is not None and not to.strip():
            raise EmptyLabel
        set_rule(services.database, services.storage, dataset_id, *form.specs)
        author = Author(author_name(services.database, caller.token_id), "labels page")
        done = change_classes(services.database, services.storage, dataset_id, names, to, author)
    except AppError as error:
        if is_fragment(request):
            raise
        return go_to(request, path, f"{error.message} {error.advice}".strip())
    if is_fragment(request):
        return JSONResponse({"message": done.words, "batch_id": done.batch_id})
    return go_to(request, path, done.words)


@router.post("/datasets/{dataset_id}/labels/by-hand/start")
def start_by_hand(
    request: Request,
    services: ServicesDep,
    dataset_id: str,
    form: FormDep,
    show: Annotated[Show, Form()] = Show.UNLABELLED,
    edit_class: Annotated[str, Form(max_length=400)] = "",
) -> Response:
    """Label by hand what the form's rule leaves, or one class: the rule is kept first."""
    try:
        set_rule(services.database, services.storage, dataset_id, *form.specs)
    except InvalidInput as error:
        return go_to(request, f"/datasets/{dataset_id}/labels", f"{error.message} {error.advice}".strip())
    query = {"show": show.value} | ({"class": edit_class} if show is Show.ALL and edit_class else {})
    return go_to(request, f"/datasets/{dataset_id}/labels/by-hand?{urlencode(query)}")


@router.post("/datasets/{dataset_id}/labels/table")
async def take_table(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    dataset_id: str,
    report: Annotated[bool, Query()] = False,
) -> Response:
    """“Take these labels”: a CSV from the person's disk; ``report`` only downloads what fits nothing."""
    content_type = request.headers.get("content-type", "")

    def work(chunks: Iterator[bytes]) -> Response:
        return _taken(request, services, caller, dataset_id, *_first_file(chunks, content_type), is_report=report)

    try:
        return await read_in_thread(request, work)
    except AppError as error:
        return go_to(request, f"/datasets/{dataset_id}/labels", f"{error.message} {error.advice}".strip())


def _first_file(chunks: Iterator[bytes], content_type: str) -> tuple[str, bytes]:
    limit = MAX_TABLE_BYTES + (1 << 20)
    files = [file for file in files_of_form(limited(chunks, limit), content_type) if file.content]
    if not files:
        raise EmptyUpload
    return files[0].path, files[0].content


def _taken(
    request: Request,
    services: Services,
    caller: Caller,
    dataset_id: str,
    name: str,
    content: bytes,
    *,
    is_report: bool,
) -> Response:
    if is_report:
        with services.database.read() as session:
            found = read_labels(DatasetContent.of(session, services.storage, dataset_id), name, content)
        headers = download_headers("labels report.csv")
        return StreamingResponse(report_csv(found), media_type="text/csv; charset=utf-8", headers=headers)
    author = Author(author_name(services.database, caller.token_id), f"table {name}"[:200])
    found, done = take_labels(services.database, services.storage, dataset_id, name, content, author)
    return go_to(request, f"/datasets/{dataset_id}/labels", taken_words(found, done))


def taken_words(found: TableLabels, done: Done) -> str:
    """What taking a table did, in a few sentences."""
    parts = [done.words if done.changed else "All labels were so already."]
    if many := len(found.without_image):
        parts.append(f"{counted(many, 'row')} named no picture here.")
    if many := len(found.ambiguous) + len(found.contradictory):
        parts.append(f"{counted(many, 'name')} fitted several pictures or had several labels.")
    if many := len(found.without_row):
        parts.append(f"{counted(many, 'picture')} had no row.")
    return " ".join(parts)


def _asked(change: str) -> tuple[list[str], str | None]:
    try:
        found: Any = json.loads(change)  # Any: what our own button sent, or somebody else
        names, to = found["classes"], found["to"]
    except (ValueError, KeyError, TypeError):
        raise EmptyLabel from None
    if (
        not isinstance(names, list)
        or not all(isinstance(name, str) for name in names)
        or not isinstance(to, str | None)
    ):
        raise EmptyLabel
    return names, to
