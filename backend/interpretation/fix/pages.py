"""The fix sprint: thirty pictures, one key each or one for many."""

from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from backend.caller import CallerDep
from backend.datasets.labels.ledger.changes import Wish, change_labels
from backend.datasets.labels.repository import Author, author_name
from backend.dependencies import ReadDep, ServicesDep
from backend.domain.errors import AppError
from backend.domain.ids import RunId
from backend.interpretation.answers import Filter
from backend.interpretation.context import OpenedDep, head_context, nothing_yet
from backend.interpretation.find import require_results
from backend.interpretation.fix.schemas import SprintRead
from backend.interpretation.fix.sprint import FEW, LAST, Source, sprint
from backend.templating import go_to, page

router = APIRouter(include_in_schema=False)

Text = Annotated[str, Query(max_length=200)]
SOURCE_WORDS: Final = {
    Source.SUSPECTS: "Labels that are probably wrong",
    Source.TOP_LOSSES: "The largest losses",
    Source.CELL: "One cell of the confusion matrix",
    Source.CLASS: "One class",
}


@router.get("/runs/{run_id}/fix")
def fix(
    request: Request,
    session: ReadDep,
    services: ServicesDep,
    opened: OpenedDep,
    source: Annotated[Source, Query(alias="from")] = Source.SUSPECTS,
    actual: Text = "",
    predicted: Text = "",
    class_name: Annotated[str, Query(alias="class", max_length=200)] = "",
) -> Response:
    """The next pictures whose labels are worth a look, with a key for each decision."""
    if opened.results is None:
        return nothing_yet(request, session, opened)
    chosen = Filter(actual=class_name or actual or None, predicted=predicted or None)
    query = {"from": source.value, "actual": actual, "predicted": predicted, "class": class_name}
    found = sprint(session, services, opened.head, opened.results, source, chosen)
    return page(
        request,
        "interpretation/fix.html",
        **head_context(session, opened, "Fix labels"),
        dataset={"id": opened.head.dataset_id},
        sprint=found,
        source=source,
        source_words=SOURCE_WORDS[source],
        chosen=chosen,
        query=query,
        query_address=_address_of(query),
        first=SprintRead.of_sprint(found, request.scope["root_path"]).model_dump(mode="json"),
        classes=sorted(opened.results.classes),
        last=LAST,
        few=FEW,
    )


@router.post("/runs/{run_id}/fix")
def take_decision(
    request: Request,
    run_id: str,
    services: ServicesDep,
    caller: CallerDep,
    image_id: Annotated[str, Form(max_length=64)],
    before: Annotated[str, Form(max_length=400)],
    label: Annotated[str, Form(max_length=400)] = "",
    new: Annotated[str, Form(max_length=400)] = "",
    action: Annotated[str, Form(max_length=20)] = "",
    source: Annotated[Source, Form(alias="from")] = Source.SUSPECTS,
    actual: Annotated[str, Form(max_length=200)] = "",
    predicted: Annotated[str, Form(max_length=200)] = "",
    class_name: Annotated[str, Form(alias="class", max_length=200)] = "",
) -> Response:
    """A decision about one picture, where no script does it; then the next picture."""
    query = {"from": source.value, "actual": actual, "predicted": predicted, "class": class_name}
    path = f"/runs/{run_id}/fix?{_address_of(query)}"
    with services.database.read() as session:
        head, _ = require_results(session, RunId(run_id))
    author = Author(author_name(services.database, caller.token_id), source.reason, head.run_id)
    wanted = {"right": before, "drop": None}.get(action, new or label)
    wish = Wish(image_id, wanted, seen=(before,), is_confirmed=True)
    try:
        done = change_labels(services.database, services.storage, head.dataset_id, [wish], author)
    except AppError as error:
        return go_to(request, path, f"{error.message} {error.advice}".strip())
    return go_to(request, path, done.words)


def _address_of(query: Mapping[str, str]) -> str:
    return urlencode({name: value for name, value in query.items() if value})
