"""The page where pictures are labelled by hand, with keys or buttons."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from backend.caller import CallerDep
from backend.datasets.context import dataset_context
from backend.datasets.labels.by_hand.queue import POLICY_WORDS, queue
from backend.datasets.labels.by_hand.schemas import QueueRead
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.ledger.changes import Wish, change_labels
from backend.datasets.labels.repository import Author, LabelLedger
from backend.datasets.labels.selection import Selection, Show
from backend.datasets.urls import thumbnail_url
from backend.dependencies import ReadDep, ServicesDep, SettingsDep, StorageDep
from backend.domain.errors import AppError
from backend.journey.steps import StepName
from backend.templating import go_to, page

router = APIRouter(include_in_schema=False)

KEYS = "1234567890qwetyuiopafhjklcbm"
"""Keys of the first classes; the other letters do something else on this page or on all pages."""
SHOWS = (
    (Show.UNLABELLED, "Without a label"),
    (Show.ALL, "All pictures"),
    (Show.BY_HAND, "Labelled by hand"),
    (Show.LEFT_OUT, "Left out by hand"),
    (Show.CONFLICTS, "With contradictory names"),
)
_BESIDE = 5


@router.get("/datasets/{dataset_id}/labels/by-hand")
def label_by_hand(
    request: Request,
    session: ReadDep,
    storage: StorageDep,
    settings: SettingsDep,
    dataset_id: str,
    show: Show = Show.UNLABELLED,
    label: Annotated[str, Query(alias="class", max_length=200)] = "",
    text: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """One picture large, or many at once, with a key for each class."""
    context = dataset_context(session, dataset_id, StepName.LABELS) | {"here": "Label by hand"}
    if not context["dataset"].images:
        return page(request, "datasets/labels_empty.html", **context)
    content = DatasetContent.of(session, storage, dataset_id)
    chosen = Selection(show, label, text=text)
    found = queue(content, settings.features_folder, chosen, limit=1 + _BESIDE, after=after or None)
    return page(
        request,
        "datasets/by_hand.html",
        **context,
        queue=found,
        first=QueueRead.of(found, request.scope.get("root_path", "")).model_dump(mode="json"),
        current=found.pictures[0] if found.pictures else None,
        policy=POLICY_WORDS[found.policy],
        policy_code=found.policy.value,
        classes=[
            (name, images, KEYS[place] if place < len(KEYS) else "")
            for place, (name, images) in enumerate(found.classes.items())
        ],
        keys=KEYS,
        chosen=chosen,
        query={"show": show.value, "class": label, "text": text},
        shows_words=dict(SHOWS)[show],
        shows=[(option.value, words) for option, words in SHOWS],
        class_options=[("", "All classes"), *((name, name) for name in found.classes)],
        large_of=lambda image: thumbnail_url(image.id, 768, image.digest),
        thumbnail_of=lambda image: thumbnail_url(image.id, digest=image.digest),
    )


@router.post("/datasets/{dataset_id}/labels/by-hand")
def take_label(
    request: Request,
    services: ServicesDep,
    caller: CallerDep,
    dataset_id: str,
    image_id: Annotated[str, Form(max_length=64)],
    label: Annotated[str, Form(max_length=400)] = "",
    new: Annotated[str, Form(max_length=400)] = "",
    action: Annotated[str, Form(max_length=20)] = "label",
    show: Annotated[Show, Form()] = Show.UNLABELLED,
    class_name: Annotated[str, Form(max_length=200, alias="class")] = "",
    text: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """A label for one picture, where no script does it; then the next picture."""
    query = {"show": show.value, "class": class_name, "text": text}
    # A picture without a label goes out of the list by itself; of the others the next one is shown.
    if show is Show.ALL and not class_name:
        query["after"] = image_id
    path = f"/datasets/{dataset_id}/labels/by-hand?{urlencode({name: value for name, value in query.items() if value})}"
    with services.database.read() as session:
        author = Author(LabelLedger(session).name_of(caller.token_id), "labelled by hand")
    wish = Wish(image_id, None if action == "drop" else (new or label))
    try:
        done = change_labels(services.database, services.storage, dataset_id, [wish], author)
    except AppError as error:
        return go_to(request, path, f"{error.message} {error.advice}".strip())
    return go_to(request, path, done.words)
