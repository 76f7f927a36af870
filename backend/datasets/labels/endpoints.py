"""Labels, versions and batches, by REST."""

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session

from backend.bodies import LargeJsonRoute
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.freeze import freeze
from backend.datasets.labels.preview import preview, preview_of
from backend.datasets.labels.repository import LabelLedger
from backend.datasets.labels.schemas import (
    PreviewRead,
    PreviewRequest,
    SuggestionRead,
    SuggestionsRequest,
    VersionCreate,
    VersionRead,
)
from backend.datasets.labels.suggestions import suggest
from backend.datasets.repository import DatasetRepository
from backend.datasets.version_repository import VersionRepository
from backend.datasets.versions import find_version
from backend.dependencies import ReadDep, ServicesDep, StorageDep
from backend.domain.json import Json
from backend.pagination import IdCursorDep, LimitQuery, Page
from backend.tables.datasets import VersionRow

router = APIRouter(prefix="/api/v1", tags=["labels and versions"], route_class=LargeJsonRoute)


@router.post("/datasets/{dataset_id}/labels/preview")
def preview_labels(
    dataset_id: str, body: PreviewRequest, request: Request, session: ReadDep, storage: StorageDep
) -> PreviewRead:
    """Try a rule and a split: classes with counts and examples, what gets no label, what looks odd. Stores nothing."""
    found = preview(DatasetContent.of(session, storage, dataset_id), body.rule, body.split)
    return PreviewRead.of(found, request.scope.get("root_path", ""))


@router.post("/datasets/{dataset_id}/labels/suggestions")
def suggest_rules(
    dataset_id: str,
    request: Request,
    session: ReadDep,
    storage: StorageDep,
    body: SuggestionsRequest | None = None,
) -> Page[SuggestionRead]:
    """Rules that would fit, the best first, each with its preview."""
    content = DatasetContent.of(session, storage, dataset_id)
    root_path: str = request.scope.get("root_path", "")
    return Page[SuggestionRead](
        items=[
            SuggestionRead.of(found, preview_of(content, found.labelled, found.split), root_path)
            for found in suggest(content, body.labels if body else None)
        ]
    )


@router.post("/datasets/{dataset_id}/versions", status_code=201)
def create_version(dataset_id: str, body: VersionCreate, services: ServicesDep) -> VersionRead:
    """Freeze a rule and a split: what a training reads and what never changes again."""
    row = freeze(services.database, services.storage, dataset_id, body.rule, body.split)
    with services.database.read() as session:
        return _whole(session, row)


@router.get("/datasets/{dataset_id}/versions")
def list_versions(
    dataset_id: str,
    session: ReadDep,
    limit: LimitQuery = 100,
    after: IdCursorDep = None,
) -> Page[VersionRead]:
    """A dataset's versions, the newest first."""
    DatasetRepository(session).get(dataset_id)
    rows = VersionRepository(session).of_dataset(dataset_id, limit=limit + 1, after=after)
    frozen = LabelLedger(session).count_frozen([row.id for row in rows])
    return Page[VersionRead].of(
        rows, limit, lambda row: VersionRead.of(row, None, len(row.overrides) + frozen.get(row.id, 0))
    )


@router.get("/versions/{version_id}")
def get_version(version_id: str, session: ReadDep) -> VersionRead:
    """One frozen version."""
    return _whole(session, find_version(session, version_id))


def _whole(session: Session, row: VersionRow) -> VersionRead:
    images = LabelLedger(session).frozen(row.id)
    overrides: list[Json] = [
        *row.overrides,
        *({"image_id": image_id, "path": path, "label": label} for image_id, path, label in images),
    ]
    return VersionRead.of(row, overrides, len(overrides))
