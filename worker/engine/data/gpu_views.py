"""Random views made by the device itself, batch by batch; a few processor cores can't make enough for a GPU.

What is drawn, and from which numbers, is the same as on a processor
(``backend.imaging.preprocessing.random_params``), and so are the pixels that come out but for the odd
level. The processor only hands over the part of each resized image that its view needs. Like
Pillow, the device interpolates between the four nearest pixels and drops fractions of a level. Where a
view shrinks the image (``min_zoom`` below 1, or the far side of a tilt: with the usual settings its
corner by 1.3 in every second view, by 2.5 in one of a hundred) neither smooths beforehand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from backend.imaging.preprocessing import AugmentationParams, Pixels

_AT_ONCE: Final = 32
"""Images whose views are made together: what that takes for a moment is 20 times their pixels."""

_SLACK: Final = 1 / 32
"""Of a level: float32 may end just below a whole one, which would then be dropped to the one before."""


def makes_views(device: torch.device) -> bool:
    """Whether views of images are left to the device."""
    return device.type == "cuda"


@dataclass(frozen=True, slots=True)
class SourceCrop:
    """The part of an image that a random view needs, and how it is warped and lit.

    Attributes:
        pixels: (h, w, 3) the part of a resized image that the view needs.
        map: (3, 3) of (column, row, 1), the view's pixels to the image's.
        furthest: the image's last column and row; beyond them it is mirrored.
        corner: the part's first column and row.
        levels: (256,) what each level becomes.
        size: side of the view, in pixels.
    """

    pixels: Pixels
    map: NDArray[np.float64]
    furthest: tuple[int, int]
    corner: tuple[int, int]
    levels: NDArray[np.uint8]
    size: int


@dataclass(frozen=True, slots=True)
class AugmentationBatch:
    """How N views are made from N crops of one size.

    Attributes:
        maps: (N, 3, 3) float32, as in ``SourceCrop``.
        furthest: (N, 2) float32.
        corners: (N, 2) float32.
        levels: (N, 256) uint8.
        size: side of the views, in pixels.
    """

    maps: Tensor
    furthest: Tensor
    corners: Tensor
    levels: Tensor
    size: int

    def pin_memory(self) -> "AugmentationBatch":
        """The same in page-locked memory, from where a GPU copies faster."""
        return AugmentationBatch(
            self.maps.pin_memory(),
            self.furthest.pin_memory(),
            self.corners.pin_memory(),
            self.levels.pin_memory(),
            self.size,
        )

    def to(self, device: torch.device) -> "AugmentationBatch":
        """The same on the device."""
        return AugmentationBatch(
            self.maps.to(device, non_blocking=True),
            self.furthest.to(device, non_blocking=True),
            self.corners.to(device, non_blocking=True),
            self.levels.to(device, non_blocking=True),
            self.size,
        )

    def part(self, first: int, after: int) -> "AugmentationBatch":
        """Those from ``first`` to before ``after``."""
        some = slice(first, after)
        return AugmentationBatch(self.maps[some], self.furthest[some], self.corners[some], self.levels[some], self.size)


def source_crop(whole: Image.Image, params: AugmentationParams, size: int) -> SourceCrop:
    """The part of a resized image that a view of ``size`` pixels needs."""
    # Positions count from a pixel's edge, columns and rows from its middle.
    onto_edge = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    map_ = np.linalg.inv(onto_edge) @ params.to_source @ onto_edge
    furthest = (whole.width - 1, whole.height - 1)
    (left, right), (top, bottom) = _needed(map_, size, furthest)
    return SourceCrop(
        np.asarray(whole.crop((left, top, right + 1, bottom + 1))),
        map_,
        furthest,
        (left, top),
        np.array(params.lighting.table()[:256], dtype=np.uint8),
        size,
    )


def _needed(map_: NDArray[np.float64], size: int, furthest: tuple[int, int]) -> list[tuple[int, int]]:
    """First and last column, first and last row that the view's pixels lie between, once mirrored."""
    ends = (0, size - 1)
    corners = np.array([(x, y, 1) for x in ends for y in ends]) @ map_.T
    # Straight lines stay straight: nothing lies further out than the corners.
    corners = corners[:, :2] / corners[:, 2:]
    return [
        _mirrored_span(float(low) - 1, float(high) + 1, last)
        for low, high, last in zip(corners.min(axis=0), corners.max(axis=0), furthest, strict=True)
    ]


def _mirrored_span(low: float, high: float, last: int) -> tuple[int, int]:
    """The part of 0 to ``last`` that lies between two positions when the rest is its mirror image."""
    first = 0 if low < 0 else min(low, 2 * last - high)
    final = last if high > last else max(high, -low)
    return int(np.clip(np.floor(first), 0, last)), int(np.clip(np.ceil(final), 0, last))


def stacked(crops: Sequence[SourceCrop]) -> tuple[Tensor, AugmentationBatch]:
    """(N, H, W, 3) uint8 crops, the smaller ones filled up to the largest, and how they are warped and lit."""
    height, width = (max(one.pixels.shape[axis] for one in crops) for axis in (0, 1))
    pixels = np.zeros((len(crops), height, width, 3), dtype=np.uint8)
    for rows, one in zip(pixels, crops, strict=True):
        rows[: one.pixels.shape[0], : one.pixels.shape[1]] = one.pixels
    return torch.from_numpy(pixels), AugmentationBatch(
        _floats([one.map for one in crops]),
        _floats([one.furthest for one in crops]),
        _floats([one.corner for one in crops]),
        torch.from_numpy(np.stack([one.levels for one in crops])),
        crops[0].size,
    )


def _floats(rows: Sequence[object]) -> Tensor:
    return torch.from_numpy(np.array(rows, dtype=np.float32))


def warp_batch(pixels: Tensor, params: AugmentationBatch) -> Tensor:
    """(N, size, size, 3) uint8: the views, from (N, H, W, 3) crops on the device of ``params``."""
    views = []
    for first in range(0, len(pixels), _AT_ONCE):
        some = params.part(first, first + _AT_ONCE)
        levels = _between(pixels[first : first + _AT_ONCE], _source_positions(some))
        views.append(_lit(levels, some.levels))
    return torch.cat(views)


def _source_positions(params: AugmentationBatch) -> Tensor:
    """(N, 2, size, size): the source position (column, row) of each pixel of a view, within its crop."""
    steps = torch.arange(params.size, dtype=torch.float32, device=params.maps.device)
    maps = params.maps[..., None, None]
    # Not as a matrix product, for which a GPU may use fewer digits.
    found = maps[:, :, 0] * steps + maps[:, :, 1] * steps[:, None] + maps[:, :, 2]
    mirrored = _mirrored(found[:, :2] / found[:, 2:], params.furthest[..., None, None])
    return mirrored - params.corners[..., None, None]


def _mirrored(positions: Tensor, last: Tensor) -> Tensor:
    """Places between 0 and ``last``, however far beyond they were."""
    return last - (positions.remainder(2 * last) - last).abs()


def _between(pixels: Tensor, positions: Tensor) -> Tensor:
    """(N, 3, size, size) whole levels as float: between the four nearest pixels, fractions dropped."""
    columns, rows = positions.unbind(dim=1)
    height, width = pixels.shape[1:3]
    grid = torch.stack([2 * columns / (width - 1) - 1, 2 * rows / (height - 1) - 1], dim=3)
    levels = F.grid_sample(pixels.permute(0, 3, 1, 2).float(), grid, padding_mode="border", align_corners=True)
    return (levels + _SLACK).floor_()


def _lit(levels: Tensor, table: Tensor) -> Tensor:
    """(N, size, size, 3) uint8: each level as its image's table has it."""
    found = table.gather(1, levels.permute(0, 2, 3, 1).flatten(1).long())
    return found.view(len(levels), *levels.shape[2:], 3)
