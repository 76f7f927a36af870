"""A network so small that its answers can be worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from backend.imaging.preprocessing import Preprocessing
from backend.prediction.models import ModelSource
from tests.fixtures.colour_model import write_colour_model as write_model

COLOURS = ("blue", "green", "red")
SIZE = 16


WEIGHTS = 4 * np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=np.float32)  # (C, K)


def write_colour_model(folder: Path) -> None:
    """A model that names the strongest colour of a picture: its mean in [0, 1], times 4, through a softmax."""
    write_model(folder, WEIGHTS, SIZE)


def source_in(folder: Path, checkpoint_id: str = "c" * 32) -> ModelSource:
    """The colour model as a checkpoint in ``folder``."""
    return ModelSource(
        checkpoint_id=checkpoint_id,
        sha256="0" * 64,
        folder=folder,
        classes=COLOURS,
        preprocessing=Preprocessing(size=SIZE, resize_to=SIZE, mean=(0.5,) * 3, std=(0.5,) * 3),
    )


@pytest.fixture
def colour_model(tmp_path: Path) -> ModelSource:
    """A model that names the strongest colour of a picture."""
    write_colour_model(tmp_path / "colours")
    return source_in(tmp_path / "colours")
