"""Batches of a version as the network will see them, by REST."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from backend.datasets.look.batch import MAX_SEED, batch, batch_image, view_of
from backend.datasets.look.changes import ChangesDep
from backend.datasets.serving import picture_headers
from backend.datasets.urls import batch_image_url
from backend.dependencies import ReadDep, StorageDep
from backend.imaging.pool import decoding_pool

router = APIRouter(prefix="/api/v1", tags=["labels and versions"])
Seed = Annotated[int, Query(ge=0, le=MAX_SEED)]
Size = Annotated[int, Query(ge=32, le=1024)]


class BatchItemRead(BaseModel):
    """A picture of a batch; ``view`` are the corners of what the network sees, as shares of the picture's sides."""

    image_id: str
    label: str
    url: str
    view: list[tuple[float, float]]


class BatchRead(BaseModel):
    """Pictures as the network will see them."""

    items: list[BatchItemRead]


@router.get("/versions/{version_id}/batch")
def get_batch(
    version_id: str,
    request: Request,
    session: ReadDep,
    changes: ChangesDep,
    n: Annotated[int, Query(ge=1, le=64)] = 9,
    augmented: bool = True,
    seed: Seed | None = None,
    size: Size = 224,
) -> BatchRead:
    """Random pictures of a version as the network will see them; others each time unless a seed is given.

    The random changes are those of a training's `augmentation`; what is left out is as usual. `view` of an item are the
    corners of what the network sees, as shares of the whole picture's sides, clockwise; beyond 0 and 1 its borders are
    mirrored.
    """
    root_path: str = request.scope.get("root_path", "")
    return BatchRead(
        items=[
            BatchItemRead(
                image_id=item.image_id,
                label=item.label,
                url=root_path
                + batch_image_url(
                    version_id, item.image_id, seed=item.seed, augmented=augmented, size=size, changes=changes.own
                ),
                view=view_of(item, changes.augmentation if augmented else None, size),
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
    changes: ChangesDep,
    seed: Seed = 0,
    augmented: bool = True,
    size: Size = 224,
) -> Response:
    """One picture exactly as the network sees it, as PNG; the same address always gives the same pixels."""
    augmentation = changes.augmentation if augmented else None
    png = batch_image(session, storage, decoding_pool(), version_id, image_id, augmentation, seed=seed, size=size)
    tag = f"{version_id}-{image_id}-{seed}-{augmented}-{size}-{urlencode(changes.own)}"
    return Response(png, media_type="image/png", headers=picture_headers(tag))
