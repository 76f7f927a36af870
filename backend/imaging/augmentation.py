"""The random part of a training view: its geometry and its lighting.

Source: the transforms, ranges and order of fastai's ``aug_transforms``.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.domain.training import Augmentation

_FURTHEST: Final = 4.0
"""How far from its middle a tilted view may look, in halves of its side."""


@dataclass(frozen=True, slots=True)
class Movement:
    """How one random view lies on its image: all that moves pixels, as drawn.

    Attributes:
        zoom: above 1 the view shows less.
        centre: where the zoomed view lies, (x, y) in [-1, 1]; without effect at zoom 1.
        turn: degrees.
        mirrored, upside_down: flipped left to right, top to bottom.
        tilt: (x, y) perspective, as if looked at from the side; 0 is from the front.
    """

    zoom: float = 1.0
    centre: tuple[float, float] = (0.0, 0.0)
    turn: float = 0.0
    mirrored: bool = False
    upside_down: bool = False
    tilt: tuple[float, float] = (0.0, 0.0)

    def map(self) -> NDArray[np.float64]:
        """(3, 3) map of [-1, 1] coordinates (x, y, 1), output to input: zoom, turn, flip, tilt, as fastai puts them."""
        flat = self._flip() @ self._turn() @ self._zoom()
        if self.tilt == (0.0, 0.0):
            return flat
        tilted = _tilt(*self.tilt) @ flat
        # Only settings far beyond the course's come near the horizon, where a tilted view would show nothing.
        return tilted if _reach(tilted) <= _FURTHEST else flat

    def _zoom(self) -> NDArray[np.float64]:
        share = 1 / self.zoom
        x, y = (1 - share) * np.array(self.centre)
        return np.array([[share, 0, x], [0, share, y], [0, 0, 1]])

    def _turn(self) -> NDArray[np.float64]:
        cos, sin = np.cos(np.radians(self.turn)), np.sin(np.radians(self.turn))
        return np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])

    def _flip(self) -> NDArray[np.float64]:
        return np.diag([-1.0 if self.mirrored else 1.0, -1.0 if self.upside_down else 1.0, 1.0])


def random_movement(augmentation: Augmentation, random: np.random.Generator) -> Movement:
    """Draw a movement: each kind of change happens or not, by itself."""

    def happens(largest: float) -> bool:
        return bool(largest) and random.random() < augmentation.p_affine

    def tilt() -> float:
        largest = augmentation.max_warp
        return random.uniform(-largest, largest) if happens(largest) else 0.0

    largest_turn = augmentation.max_rotate
    zooms = augmentation.min_zoom != 1 or augmentation.max_zoom != 1
    return Movement(
        tilt=(tilt(), tilt()),
        turn=random.uniform(-largest_turn, largest_turn) if happens(largest_turn) else 0.0,
        zoom=random.uniform(augmentation.min_zoom, augmentation.max_zoom) if happens(zooms) else 1.0,
        centre=(random.uniform(-1, 1), random.uniform(-1, 1)),
        mirrored=augmentation.flip and random.random() < 0.5,
        upside_down=augmentation.flip_vertical and random.random() < 0.5,
    )


def _tilt(x: float, y: float) -> NDArray[np.float64]:
    """Perspective that shows the square's corners moved by ``x`` and ``y``. Source: fastai ``Warp``."""
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], dtype=float)
    shown_at = np.array([[-1 - y, -1 - x], [-1 + y, 1 + x], [1 + y, -1 + x], [1 - y, 1 - x]])
    rows = []
    for (u, v), (a, b) in zip(shown_at, corners, strict=True):
        rows.append([u, v, 1, 0, 0, 0, -a * u, -a * v])
        rows.append([0, 0, 0, u, v, 1, -b * u, -b * v])
    solved = np.linalg.solve(np.array(rows), corners.reshape(-1))
    return np.append(solved, 1.0).reshape(3, 3)


def _reach(map_: NDArray[np.float64]) -> float:
    """How far from the middle the view looks, in halves of its side; infinite past the horizon."""
    corners = np.array([[-1, -1, 1], [1, -1, 1], [-1, 1, 1], [1, 1, 1]], dtype=float) @ map_.T
    if corners[:, 2].min() <= 0:
        return np.inf
    return float(np.abs(corners[:, :2] / corners[:, 2:]).max())


@dataclass(frozen=True, slots=True)
class Lighting:
    """How one random view is lit; changes are made in the space of logits, as fastai does.

    Attributes:
        brightness: what a middle grey becomes, in [0, 1].
        contrast: steepness; 1 changes nothing.
    """

    brightness: float = 0.5
    contrast: float = 1.0

    def table(self) -> list[int]:
        """(3 x 256,) what each level of each channel becomes."""
        if (self.brightness, self.contrast) == (0.5, 1.0):
            return list(range(256)) * 3
        level = np.clip(np.arange(256) / 255, 1e-7, 1 - 1e-7)
        shift = np.log(self.brightness / (1 - self.brightness))
        logit = (np.log(level / (1 - level)) + shift) * self.contrast
        return [int(value) for value in np.round(255 / (1 + np.exp(-logit)))] * 3


def random_lighting(augmentation: Augmentation, random: np.random.Generator) -> Lighting:
    """Draw a lighting: brightness and contrast change or not, each by itself."""
    amount = augmentation.max_lighting
    brightness, contrast = 0.5, 1.0
    if amount and random.random() < augmentation.p_lighting:
        brightness = random.uniform(0.5 * (1 - amount), 0.5 * (1 + amount))
    if amount and random.random() < augmentation.p_lighting:
        contrast = float(np.exp(random.uniform(np.log(1 - amount), -np.log(1 - amount))))
    return Lighting(brightness, contrast)
