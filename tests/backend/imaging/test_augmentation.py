from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.domain.training import Augmentation
from backend.imaging.augmentation import Lighting, Movement, random_lighting, random_movement
from tests.fixtures.fastai import figures


def movement_of(given: dict[str, Any]) -> Movement:
    """A movement as fastai's figures name it."""
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return Movement(**values)


@pytest.mark.parametrize("row", figures("movements"), ids=lambda row: "+".join(row["movement"]))
def test_a_view_looks_where_fastais_does(row: dict[str, Any]) -> None:
    steps = np.linspace(-1, 1, 5)
    places = np.array([(x, y, 1) for y in steps for x in steps])

    seen = places @ movement_of(row["movement"]).map().T

    assert seen[:, :2] / seen[:, 2:] == pytest.approx(np.array(row["places"]), abs=1e-6)


def drawn_movements() -> dict[str, NDArray[np.float64]]:
    """What 20,000 views draw, by the names of fastai's figures."""
    random = np.random.default_rng(1)
    views = [random_movement(Augmentation(), random) for _ in range(20_000)]
    lights = [random_lighting(Augmentation(), random) for _ in range(20_000)]
    zoomed = [view for view in views if view.zoom != 1]
    return {
        "mirrored": np.array([float(view.mirrored) for view in views]),
        "turn": np.array([view.turn for view in views]),
        "zoom": np.array([view.zoom for view in views]),
        "centre_x": np.array([view.centre[0] for view in zoomed]),
        "centre_y": np.array([view.centre[1] for view in zoomed]),
        "tilt_x": np.array([view.tilt[0] for view in views]),
        "tilt_y": np.array([view.tilt[1] for view in views]),
        "both_tilts": np.array([float(all(view.tilt)) for view in views]),
        "brightness": np.array([light.brightness for light in lights]),
        "log_contrast": np.log([light.contrast for light in lights]),
    }


def test_changes_are_drawn_as_often_and_as_large_as_fastais() -> None:
    plain = {"zoom": 1.0, "brightness": 0.5}

    for name, values in drawn_movements().items():
        fastai = figures("augmentation")[name]
        happened = values[values != plain.get(name, 0.0)]
        width = fastai["largest"] - fastai["smallest"]
        # Both are drawn: a hundredth is three times what chance does to 20,000 and 40,000 of them.
        assert len(happened) / len(values) == pytest.approx(fastai["share"], abs=0.01), name
        assert happened.min() == pytest.approx(fastai["smallest"], abs=0.002 * width + 1e-9), name
        assert happened.max() == pytest.approx(fastai["largest"], abs=0.002 * width + 1e-9), name
        quarters = np.quantile(happened, [0.25, 0.5, 0.75])
        assert quarters == pytest.approx(np.array(fastai["quarters"]), abs=0.02 * width + 1e-9), name


@pytest.mark.parametrize("row", figures("lighting"), ids=lambda row: f"{row['brightness']}, {row['contrast']}")
def test_levels_are_lit_as_fastais_to_the_nearest_whole_one(row: dict[str, Any]) -> None:
    table = Lighting(row["brightness"], row["contrast"]).table()

    assert [table[level] for level in row["levels"]] == pytest.approx(row["become"], abs=0.501)


def test_a_tilt_that_would_look_past_the_horizon_is_left_out() -> None:
    wide = Movement(zoom=0.5, turn=45)

    tilted = Movement(zoom=0.5, turn=45, tilt=(0.9, 0.0))

    assert np.array_equal(tilted.map(), wide.map())
