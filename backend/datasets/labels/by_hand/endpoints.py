"""Labelling by hand, by REST: which pictures come next."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from backend.datasets.labels.by_hand.queue import queue
from backend.datasets.labels.by_hand.schemas import QueueRead
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.selection import Selection, Show
from backend.dependencies import ReadDep, SettingsDep, StorageDep
from backend.pagination import IdCursorDep, LimitQuery

router = APIRouter(prefix="/api/v1", tags=["labels and versions"])


@router.get("/datasets/{dataset_id}/labels/queue")
def get_queue(
    dataset_id: str,
    request: Request,
    session: ReadDep,
    storage: StorageDep,
    settings: SettingsDep,
    show: Show = Show.UNLABELLED,
    label: Annotated[str, Query(alias="class", max_length=200)] = "",
    folder: Annotated[str, Query(max_length=4096)] = "",
    text: Annotated[str, Query(max_length=200, description="A part of the path.")] = "",
    limit: LimitQuery = 40,
    after: IdCursorDep = None,
) -> QueueRead:
    """Pictures to label by hand: those without a label in the order in which labels teach most, others by path."""
    content = DatasetContent.of(session, storage, dataset_id)
    found = queue(content, settings.features_folder, Selection(show, label, folder, text), limit=limit, after=after)
    return QueueRead.of(found, request.scope.get("root_path", ""))
