"""Heat maps of test pictures, by REST."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from backend.datasets.serving import picture_headers
from backend.dependencies import ServicesDep
from backend.imaging.pool import decoding_pool
from backend.prediction.dependencies import ModelsDep
from backend.prediction.heatmaps.drawing import Style
from backend.prediction.heatmaps.service import heatmap
from backend.prediction.run_picture import run_picture

router = APIRouter(prefix="/api/v1", tags=["understanding"])


@router.get("/runs/{run_id}/images/{image_id}/heatmap", response_class=Response)
def get_heatmap(
    run_id: str,
    image_id: str,
    services: ServicesDep,
    cache: ModelsDep,
    of: Annotated[
        str, Query(max_length=400, description="`predicted`, `actual` (the label) or a class.")
    ] = "predicted",
    checkpoint: str | None = None,
    style: Style = Style.COLOUR,
) -> Response:
    """Which parts of a test picture speak for a class, as a transparent PNG to lay over the whole upright picture.

    Of the run's best finished stage, or of `checkpoint`. `outline` draws a line around the smallest area that holds
    half of the evidence. It shows where the answer came from, coarsely; it doesn't prove that the answer is right.
    """
    # A short look-up of its own: no transaction stays open while the model thinks.
    with services.database.read() as session:
        tested = run_picture(session, services.storage, run_id, image_id, checkpoint)
    png = heatmap(cache, decoding_pool(), services.storage, tested, of, style)
    headers = picture_headers(f"{tested.source.sha256}-{tested.image.digest}-{style}")
    if checkpoint is None:
        # Another stage may become the best one.
        headers["Cache-Control"] = "private, no-cache"
    return Response(png, media_type="image/png", headers=headers)
