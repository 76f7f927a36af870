"""Ask a model about a picture with parts of it covered: what changes its answer is what it goes by."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.imaging.pool import DecodingPool
from backend.imaging.preprocessing import Pixels, view_corners
from backend.prediction.models import ModelCache
from backend.prediction.run_picture import RunPicture
from backend.storage.base import Storage


@dataclass(frozen=True, slots=True)
class Cover:
    """A rectangle of the upright picture, in shares of its sides from the upper left."""

    left: float
    top: float
    width: float
    height: float


def answers_when_covered(
    cache: ModelCache, decoders: DecodingPool, storage: Storage, tested: RunPicture, covers: Sequence[Cover]
) -> list[tuple[str, float, float]]:
    """(class, probability as the picture is, probability with the covers), the likeliest as it is first.

    Raises:
        ModelMissing, ModelDamaged, ImageFileMissing, PictureUnreadable, DecodersBusy, DecodersDown
    """
    model = cache.model(tested.source)
    view = tested.view(storage, decoders)
    before, after = model.probabilities([view, _covered(view, tested, covers)]).tolist()
    return sorted(zip(tested.source.classes, before, after, strict=True), key=lambda item: -item[1])


def _covered(view: Pixels, tested: RunPicture, covers: Sequence[Cover]) -> Pixels:
    """The view with its covered parts in the mean colour, which is nothing to the network."""
    image, preprocessing = tested.image, tested.source.preprocessing
    corners = view_corners(image.width, image.height, preprocessing, None, 0)
    first, side = corners[0], corners[2] - corners[0]
    covered = view.copy()
    for cover in covers:
        upper_left = np.array([cover.left, cover.top])
        lower_right = upper_left + (cover.width, cover.height)
        edges = (np.stack([upper_left, lower_right]) - first) / side * preprocessing.size
        (left, top), (right, bottom) = np.clip(np.rint(edges), 0, preprocessing.size).astype(int)
        covered[top:bottom, left:right] = np.rint(np.array(preprocessing.mean) * 255)
    return covered
