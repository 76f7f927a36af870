"""Which part of the picture a position of a block responds to, measured by gradients.

The receptive field by the layers' sizes is often larger than the picture, though a position hardly responds to most of
it (Luo et al., "Understanding the Effective Receptive Field", arXiv:1701.04128). So the part is measured: the square
around a position that holds most of the squared gradient of its output.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.domain.inside import Box
from worker.engine.inside.positions import Positions

HELD: Final = 0.95
"""Share of the squared gradient that the rows, and the columns, of the square hold."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The square that belongs to each position of a block, in pixels of the view.

    Attributes:
        stride: (down, across) pixels from one position to the next.
        start: (top, left) of the square of the upper left position; may lie outside.
        side: of the square.
        view: side of the view.
    """

    stride: tuple[float, float]
    start: tuple[int, int]
    side: int
    view: int

    def square(self, row: int, column: int) -> Box:
        """The whole square, parts outside of the view included."""
        top, left = (
            round(step * place) + begin
            for step, place, begin in zip(self.stride, (row, column), self.start, strict=True)
        )
        return Box(left, top, left + self.side, top + self.side)

    def box(self, row: int, column: int) -> Box:
        """The part of the square inside the view."""
        square = self.square(row, column)
        return Box(max(0, square.left), max(0, square.top), min(self.view, square.right), min(self.view, square.bottom))


def measured(run: Callable[[Tensor], Positions], images: Tensor) -> Reach:
    """The reach of the layers that ``run`` is, at the middle position, over some pictures (N, 3, H, H)."""
    given = images.detach().requires_grad_()
    with torch.enable_grad():
        found = run(given)
        row, column = found.height // 2, found.width // 2
        (gradient,) = torch.autograd.grad(found.values[:, :, row * found.width + column].sum(), given)
    squared: NDArray[np.float64] = gradient.double().pow(2).sum(dim=(0, 1)).numpy()
    view = images.shape[-1]
    stride = (view / found.height, view / found.width)
    (top, bottom), (left, right) = (_extent(squared.sum(axis=axis)) for axis in (1, 0))
    side = max(bottom - top, right - left)
    start = (
        top - (side - (bottom - top)) // 2 - round(stride[0] * row),
        left - (side - (right - left)) // 2 - round(stride[1] * column),
    )
    return Reach(stride, start, side, view)


def of_token(grid: int, view: int) -> Reach:
    """The square of a token's own patch with a patch more on each side: what the token knows is no square."""
    patch = view / grid
    return Reach((patch, patch), (-round(patch), -round(patch)), round(3 * patch), view)


def _extent(amounts: NDArray[np.float64]) -> tuple[int, int]:
    """(first, one after the last) of the indices that hold ``HELD`` of the amounts, as much left out at both ends."""
    total = amounts.sum()
    if not total > 0:
        return 0, len(amounts)
    left_out = (1 - HELD) / 2 * total
    first = int(np.argmax(np.cumsum(amounts) > left_out))
    last = len(amounts) - int(np.argmax(np.cumsum(amounts[::-1]) > left_out))
    return first, last
