"""Labels, versions and batches, by REST."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from backend.bodies import LargeJsonRoute
from backend.datasets.batch import MAX_SEED, batch, batch_image
from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.freeze import freeze
from backend.datasets.labels.preview import preview, preview_of
from backend.datasets.labels.repository import LabelLedger
from backend.datasets.labels.schemas import (
    BatchItemRead,
    BatchRead,
    PreviewRead,
    PreviewRequest,
    SuggestionRead,
    SuggestionsRequest,
    VersionCreate,
    VersionRead,
)
from backend.datasets.labels.suggestions import suggest
from backend.datasets.repository import DatasetRepository, VersionRepository
from backend.datasets.serving import picture_headers
from backend.datasets.urls import batch_image_url
from backend.datasets.versions import find_version
from backend.dependencies import ReadDep, ServicesDep, StorageDep
from backend.domain.json import Json
from backend.imaging.pool import decoding_pool
from backend.pagination import IdCursorDep, LimitQuery, Page
from backend.tables.datasets import VersionRow

router = APIRouter(prefix="/api/v1", tags=["labels and versions"], route_class=LargeJsonRoute)
Seed = Annotated[int, Query(ge=0, le=MAX_SEED)]
Size = Annotated[int, Query(ge=32, le=1024)]


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


@router.get("/versions/{version_id}/batch")
def get_batch(
    version_id: str,
    request: Request,
    session: ReadDep,
    n: Annotated[int, Query(ge=1, le=64)] = 9,
    augmented: bool = True,
    seed: Seed | None = None,
    size: Size = 224,
) -> BatchRead:
    """Random pictures of a version as the network will see them; others each time unless a seed is given."""
    root_path: str = request.scope.get("root_path", "")
    return BatchRead(
        items=[
            BatchItemRead(
                image_id=item.image_id,
                label=item.label,
                url=root_path
                + batch_image_url(version_id, item.image_id, seed=item.seed, augmented=augmented, size=size),
            )
            for item in batch(session, version_id, n=n, seed=seed)
        ]
    )


@router.get("/versions/{version_id}/batch/{image_id}.png", response_class=Response)
def get_batch_image(
    version_id: str,
    image_id: str,
    session: ReadDep,
    storage: StorageDep,
    seed: Seed = 0,
    augmented: bool = True,
    size: Size = 224,
) -> Response:
    """One picture exactly as the network sees it, as PNG; the same address always gives the same pixels."""
    png = batch_image(
        session, storage, decoding_pool(), version_id, image_id, seed=seed, augmented=augmented, size=size
    )
    tag = f"{version_id}-{image_id}-{seed}-{augmented}-{size}"
    return Response(png, media_type="image/png", headers=picture_headers(tag))
