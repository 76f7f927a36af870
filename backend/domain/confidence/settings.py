"""What people chose about a model's confidence, and the verdict on each answer that follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from backend.domain.confidence.calibration import with_temperature
from backend.domain.json import Json

UNSURE_BELOW: Final = 0.5
UNSURE_WITHIN: Final = 0.15
"""Where nobody has chosen a threshold: a first class less than this more probable than the second isn't certain."""


class Verdict(StrEnum):
    """What became of a picture."""

    ANSWERED = "answered"
    NOT_SURE = "not_sure"
    NOTHING_LIKE_IT = "nothing_like_it"


@dataclass(frozen=True, slots=True)
class ConfidenceSettings:
    """What was chosen for a checkpoint; as it stands here, nothing was.

    Attributes:
        temperature: the logits are divided by it; None leaves them.
        threshold: the confidence from which on it answers; None is the rule of ``UNSURE_BELOW`` and ``UNSURE_WITHIN``.
        class_thresholds: of classes, as predicted, for which another threshold holds.
        familiar_refused: the share of pictures of its own classes that may be taken for something else, in [0, 1].
        strangeness_limit: the strangeness that follows from it, above which a picture is like nothing it was shown.
    """

    temperature: float | None = None
    threshold: float | None = None
    class_thresholds: Mapping[str, float] = field(default_factory=dict)
    familiar_refused: float | None = None
    strangeness_limit: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was chosen."""
        return self == ConfidenceSettings()

    def calibrated(self, probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
        """(N, K) probabilities with the temperature."""
        return probabilities if self.temperature is None else with_temperature(probabilities, self.temperature)

    def verdict(self, ranked: Sequence[tuple[str, float]], strangeness: float | None = None) -> Verdict:
        """What becomes of a picture.

        Args:
            ranked: classes with their probabilities, the likeliest first.
            strangeness: None where it isn't known.
        """
        if strangeness is not None and self.strangeness_limit is not None and strangeness > self.strangeness_limit:
            return Verdict.NOTHING_LIKE_IT
        name, first = ranked[0]
        limit = self.class_thresholds.get(name, self.threshold)
        if limit is None:
            second = ranked[1][1] if len(ranked) > 1 else 0.0
            is_sure = first >= UNSURE_BELOW and first - second >= UNSURE_WITHIN
        else:
            is_sure = first >= limit
        return Verdict.ANSWERED if is_sure else Verdict.NOT_SURE

    def in_words(self, classes: int) -> tuple[str, ...]:
        """When a model of so many classes answers with one of them, and when not: sentences for people."""
        if self.strangeness_limit is None:
            found = [f"The model answers with one of its {classes:,} classes, even for a picture of something else."]
        else:
            found = [f"A picture unlike all training pictures gets none of the {classes:,} classes."]
        if self.threshold is not None:
            found.append(f"It answers from {round(100 * self.threshold)} % confidence on.")
        return tuple(found)

    def to_json(self) -> dict[str, Json]:
        """As it is stored, and written into exported files."""
        return {
            "temperature": self.temperature,
            "threshold": self.threshold,
            "class_thresholds": dict(self.class_thresholds),
            "familiar_refused": self.familiar_refused,
            "strangeness_limit": self.strangeness_limit,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Self:
        """From what ``to_json`` gave."""
        return cls(**content)


def sentence_of(verdict: Verdict, ranked: Sequence[tuple[str, float]]) -> str:
    """The verdict in words; ``ranked`` as above."""
    match verdict:
        case Verdict.ANSWERED:
            return f"{ranked[0][0]}."
        case Verdict.NOT_SURE:
            return f"Not sure: {' or '.join(name for name, _ in ranked[:2])}."
        case Verdict.NOTHING_LIKE_IT:
            return "This looks like nothing I was shown."
