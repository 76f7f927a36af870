"""Lists of pictures, and one of them with all that is known of it, by REST."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request

from backend.datasets.pictures.details import details_of, file_about
from backend.datasets.pictures.filter import ListOrder
from backend.datasets.pictures.listing import ImageQueryDep, checked
from backend.datasets.pictures.repository import PictureLists
from backend.datasets.pictures.schemas import ImageDetailsRead, ImageRead
from backend.datasets.repository import DatasetRepository
from backend.dependencies import ReadDep, StorageDep
from backend.domain.ids import Digest
from backend.imaging.pool import decoding_pool
from backend.pagination import IdCursorDep, LimitQuery, Page

router = APIRouter(prefix="/api/v1", tags=["datasets"])


@router.get("/datasets/{dataset_id}/images")
def list_images(
    dataset_id: str,
    request: Request,
    session: ReadDep,
    query: ImageQueryDep,
    newest: bool = False,
    limit: LimitQuery = 100,
    after: IdCursorDep = None,
    offset: Annotated[int, Query(ge=0, le=10_000_000, description="Pictures to skip from the beginning.")] = 0,
) -> Page[ImageRead]:
    """Pictures in the order of arrival, or another; label and split by a version, else the newest one.

    Filters by `flag`, `folder`, `text`, `side` and `result` look at 50,000 pictures for a page at most, so it may have
    fewer items than `limit` although the list goes on; only `next: null` is its end. `newest=true` is `order=newest`.
    """
    if newest and not query.order:
        query = replace(query, order=ListOrder.NEWEST)
    chosen = checked(session, dataset_id, query).chosen
    found = PictureLists(session).page(dataset_id, chosen, limit=limit, after=after, offset=offset)
    root_path: str = request.scope.get("root_path", "")
    return Page[ImageRead](items=[ImageRead.of(image, root_path) for image in found.images], next=found.next)


@router.get("/datasets/{dataset_id}/images/{image_id}")
def get_image(
    dataset_id: str, image_id: str, request: Request, session: ReadDep, storage: StorageDep
) -> ImageDetailsRead:
    """One picture with all that is known of it: names, labels by version, what each run said, what its file says."""
    DatasetRepository(session).get(dataset_id)
    details = details_of(session, dataset_id, image_id)
    # The connection isn't needed while the file is read.
    session.close()
    about = file_about(storage, decoding_pool(), Digest(details.image.row.digest))
    return ImageDetailsRead.of_details(details, about, request.scope.get("root_path", ""))
