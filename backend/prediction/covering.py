"""Ask a model about a picture with parts of it covered: what changes its answer is what it goes by."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from backend.imaging.pool import DecodingPool
from backend.imaging.preprocessing import view_corners
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


@dataclass(frozen=True, slots=True)
class Stroke:
    """What a round brush covers on its way, or an eraser uncovers.

    Attributes:
        points: (x, y) from the upper left in shares of the picture's sides; a single one is a dot.
        radius: in shares of the picture's shorter side.
    """

    points: Sequence[tuple[float, float]]
    radius: float
    is_eraser: bool = False


@dataclass(frozen=True, slots=True)
class CoveredAnswers:
    """How the answer changes.

    Attributes:
        classes: (class, probability as the picture is, probability with the covers), the likeliest as it is first.
        colour: of the covers, red, green and blue from 0 to 255.
    """

    classes: Sequence[tuple[str, float, float]]
    colour: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the middles of a view's pixels lie, in pixels of the upright picture, and the picture's sides."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    sides: NDArray[np.float64]

    @classmethod
    def of(cls, tested: RunPicture) -> "Grid":
        image, preprocessing = tested.image, tested.source.preprocessing
        corners = view_corners(image.width, image.height, preprocessing, None, 0)
        first, side = corners[0], corners[2] - corners[0]
        sides = np.array([image.width, image.height], dtype=float)
        shares = (np.arange(preprocessing.size) + 0.5) / preprocessing.size
        x, y = (first + np.outer(shares, side)).T * sides[:, None]
        return cls(x, y, sides)

    def block(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[slice, slice]:
        """Rows and columns of the pixels whose middles lie between two points."""
        columns = slice(*np.searchsorted(self.x, [low[0], high[0]]))
        return slice(*np.searchsorted(self.y, [low[1], high[1]])), columns


def answers_when_covered(
    cache: ModelCache, decoders: DecodingPool, storage: Storage, tested: RunPicture, covers: Sequence[Cover | Stroke]
) -> CoveredAnswers:
    """What the model answers of a picture as it is, and with covers laid on it one after the other.

    Raises:
        ModelMissing, ModelDamaged, ImageFileMissing, PictureUnreadable, DecodersBusy, DecodersDown
    """
    model = cache.model(tested.source)
    view = tested.view(storage, decoders)
    # The mean of the picture hides what is there and adds no colour that it hasn't got.
    colour = np.rint(view.reshape(-1, 3).mean(axis=0)).astype(view.dtype)
    covered = view.copy()
    covered[covered_pixels(Grid.of(tested), covers)] = colour
    before, after = model.probabilities([view, covered]).tolist()
    classes = sorted(zip(tested.source.classes, before, after, strict=True), key=lambda item: -item[1])
    red, green, blue = colour.tolist()
    return CoveredAnswers(classes, (red, green, blue))


def covered_pixels(grid: Grid, covers: Sequence[Cover | Stroke]) -> NDArray[np.bool_]:
    """(H, W): the pixels of the view that are covered in the end."""
    mask = np.zeros((len(grid.y), len(grid.x)), dtype=bool)
    for cover in covers:
        if isinstance(cover, Cover):
            low = np.array([cover.left, cover.top]) * grid.sides
            mask[grid.block(low, low + np.array([cover.width, cover.height]) * grid.sides)] = True
        else:
            mask[_painted(grid, cover)] = not cover.is_eraser
    return mask


def _painted(grid: Grid, stroke: Stroke) -> NDArray[np.bool_]:
    """(H, W): the pixels whose middles are no further from the line than the radius."""
    painted = np.zeros((len(grid.y), len(grid.x)), dtype=bool)
    radius = stroke.radius * grid.sides.min()
    points = [np.array(point) * grid.sides for point in stroke.points]
    for begin, end in pairwise(points if len(points) > 1 else points * 2):
        rows, columns = grid.block(np.minimum(begin, end) - radius, np.maximum(begin, end) + radius)
        along, length = end - begin, float(np.sum((end - begin) ** 2))
        x, y = grid.x[columns] - begin[0], (grid.y[rows] - begin[1])[:, None]
        share = np.clip((x * along[0] + y * along[1]) / length, 0, 1) if length else 0.0
        painted[rows, columns] |= (x - share * along[0]) ** 2 + (y - share * along[1]) ** 2 <= radius**2
    return painted
