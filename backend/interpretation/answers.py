"""What a model answered on images: one answer, which to list, and where a list goes on."""

from dataclasses import dataclass

from backend.domain.ids import Digest, ImageId


@dataclass(frozen=True, slots=True)
class AnsweredImage:
    """One image and what the model said of it. Loss in nats."""

    image_id: ImageId
    digest: Digest
    path: str
    width: int
    height: int
    actual: str
    predicted: str
    loss: float
    probability_actual: float
    probability_predicted: float

    @property
    def is_right(self) -> bool:
        """Whether the model said what the label says."""
        return self.actual == self.predicted


@dataclass(frozen=True, slots=True)
class AnsweredTwice:
    """One image with the labels that it had when each of two models was tried on it, and the two answers."""

    image_id: ImageId
    labels: tuple[str, str]
    answers: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which answers to list; None leaves a question open. ``sure_*`` bound the largest probability."""

    actual: str | None = None
    predicted: str | None = None
    wrong: bool = False
    sure_from: float | None = None
    sure_below: float | None = None


@dataclass(frozen=True, slots=True)
class ListPosition:
    """Where a list went on: after the image with this loss and id."""

    loss: float
    image_id: ImageId
