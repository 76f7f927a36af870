"""What is known of a model's confidence from the answers that it gave on its test pictures."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from backend.domain.confidence.calibration import (
    FEWEST_PICTURES,
    Calibration,
    Temperature,
    calibration,
    fit_temperature,
)
from backend.domain.errors import Conflict

_REMEMBERED: Final = 8


class AnswersMissing(Conflict):
    """The answers on the test pictures aren't where they were kept."""

    code = "answers-missing"

    def __init__(self, checkpoint_id: str) -> None:
        super().__init__(
            "The answers that this model gave on its test pictures aren't kept any more, so nothing can be said of its "
            "confidence.",
            advice="Train again, or bring back the data folder from a backup.",
            details={"checkpoint_id": checkpoint_id},
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """A model's answers on N test pictures, and what follows from them.

    Attributes:
        probabilities: (N, K), as the model gives them.
        targets: (N,) index into ``classes``.
        is_mixed: the answers were mixed from several views of each picture; new pictures get one view.
    """

    classes: tuple[str, ...]
    probabilities: NDArray[np.float32]
    targets: NDArray[np.int64]
    plain: Calibration
    temperature: Temperature | None
    is_mixed: bool

    @property
    def why_no_temperature(self) -> str:
        """Why none can be chosen, for people; empty where one can."""
        if self.temperature is not None:
            return ""
        images = len(self.targets)
        if images < FEWEST_PICTURES:
            return (
                f"A temperature isn't offered: it would follow chance with {images} test pictures. "
                f"It takes at least {FEWEST_PICTURES}."
            )
        return "A temperature isn't offered: without a wrong answer there is nothing to choose it by."


@lru_cache(_REMEMBERED)
def measured_of(folder: Path, checkpoint_id: str, sha256: str) -> Measured:
    """What is known from the answers in a checkpoint's folder; remembered for the ones asked last.

    ``sha256`` is that of its weights: with others, it is read anew.

    Raises:
        AnswersMissing
    """
    try:
        written = json.loads((folder / "predictions.json").read_bytes())
        tensors = load_file(folder / "predictions.safetensors")
        classes, probabilities, targets = tuple(written["classes"]), tensors["probabilities"], tensors["targets"]
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise AnswersMissing(checkpoint_id) from error
    if not len(targets):
        raise AnswersMissing(checkpoint_id)
    plain = calibration(probabilities.astype(np.float64), targets)
    temperature = fit_temperature(probabilities, targets)
    return Measured(classes, probabilities, targets, plain, temperature, _is_mixed(folder))


def _is_mixed(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / "checkpoint.json").read_bytes()).get("test_time_views"))
    except (OSError, ValueError):
        return False
