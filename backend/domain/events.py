"""Events that the engine reports while it trains.

One frozen type per fact; the same value is printed by the shell, stored by the
worker and streamed to the page. Losses in nats, error rates in [0, 1],
durations in seconds; stages and epochs count from 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """Work outside the epochs, one at a time; a phase lasts until the next one or a stage begins."""

    WEIGHTS = "weights"
    """Pretrained weights are loaded or downloaded; progress in bytes."""
    DATA = "data"
    """Images are decoded and resized; progress in images."""
    FEATURES = "features"
    """The frozen backbone computes features; progress in images."""
    ACTIVATIONS = "activations"
    """The frozen blocks of a stage that is not frozen compute activations; progress in images."""
    RATE = "rate"
    """The learning-rate finder runs; progress in steps."""
    COMPILE = "compile"
    """The forward pass is compiled; no progress is reported."""
    EVALUATION = "evaluation"
    """The finished model is evaluated; progress in images."""
    EXPORT = "export"
    """The ONNX file is written and compared; no progress is reported."""


class NoteTopic(StrEnum):
    """What a note is about."""

    RESUME = "resume"
    MEMORY = "memory"
    ROLLBACK = "rollback"
    RUNTIME = "runtime"


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase outside the epochs began; ``text`` describes it to people."""

    phase: Phase
    text: str


@dataclass(frozen=True, slots=True)
class PhaseProgress:
    """How far a phase is: ``done`` of ``total``, in the unit that its ``Phase`` names."""

    phase: Phase
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class FeaturesKept:
    """Features of ``images`` more images are on the disk, so that another attempt needn't compute them."""

    images: int


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a person should read; unlike a phase it neither begins nor ends any work."""

    topic: NoteTopic
    text: str


@dataclass(frozen=True, slots=True)
class ImageSkipped:
    """An image could not be read and was left out of the training."""

    image_id: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage begins (or continues at ``first_epoch`` after an interruption)."""

    stage: int
    freeze: bool
    epochs: int
    first_epoch: int
    steps_per_epoch: int
    device: str


@dataclass(frozen=True, slots=True)
class StepFinished:
    """Steps since the last event of this kind; sent at most about twice a second.

    Attributes:
        step: steps done in this stage, all epochs together.
        losses: training loss of each batch since the last event, in nats.
        learning_rate: of the head, at the last of these steps.
    """

    stage: int
    epoch: int
    step: int
    steps: int
    losses: tuple[float, ...]
    learning_rate: float
    momentum: float
    images_per_s: float


@dataclass(frozen=True, slots=True)
class ValidationProgress:
    """How many validation images of this epoch are done."""

    stage: int
    epoch: int
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class EpochFinished:
    """One row of the course's table.

    ``train_loss`` is fastai's smoothed loss (exponential average, beta 0.98,
    debiased) at the end of the epoch.
    """

    stage: int
    epoch: int
    train_loss: float
    valid_loss: float
    error_rate: float
    accuracy: float
    learning_rate: float
    duration_s: float


@dataclass(frozen=True, slots=True)
class StateSaved:
    """A point from which an interrupted run continues: at ``step`` of ``epoch`` of ``stage``.

    ``step`` counts from 0 in its epoch; after a finished epoch the point is step 0 of the next one.
    ``file`` is a name inside the run's state folder; ``sha256`` is of its bytes.
    Nothing counts until the listener has stored it, in one transaction with the
    epoch that came before where one did.
    """

    stage: int
    epoch: int
    step: int
    file: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StageFinished:
    """A stage ended; its checkpoint lies under ``folder`` (safetensors, JSON, ONNX, predictions).

    Attributes:
        folder: name of the checkpoint's folder inside the output folder.
        sha256: of the weights file.
        size_bytes: of the weights file.
        parity_max_difference: largest difference in probability between ONNX Runtime and torch
            over ``parity_images`` real validation images.
        parity_agreement: share of those on which both give the same class.
    """

    stage: int
    epoch: int
    folder: str
    sha256: str
    size_bytes: int
    valid_loss: float
    error_rate: float
    parity_max_difference: float
    parity_agreement: float
    parity_images: int


@dataclass(frozen=True, slots=True)
class StageCutShort:
    """A stage ends before its last planned epoch, after ``epoch``, and why in words."""

    stage: int
    epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class EpochsChanged:
    """A stage is to have ``epochs`` epochs in all, as many of the ``planned`` ones as there is time for."""

    stage: int
    epochs: int
    planned: int


@dataclass(frozen=True, slots=True)
class StageSkipped:
    """A stage isn't run, and why in words."""

    stage: int
    reason: str


@dataclass(frozen=True, slots=True)
class RateFound:
    """The learning-rate finder has chosen a stage's rate; ``suggestions`` by the name of their rule.

    ``max_lr`` is one rate, or [lowest layers, head].
    """

    stage: int
    max_lr: float | tuple[float, float]
    learning_rates: tuple[float, ...]
    losses: tuple[float, ...]
    suggestions: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class MicroBatchHalved:
    """Memory ran out: the gradients of a batch of ``batch_size`` are now computed ``micro_batch`` images at a time."""

    stage: int
    epoch: int
    micro_batch: int
    batch_size: int


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The loss became NaN or infinite; training continues from the last good state, all rates times ``factor``."""

    stage: int
    epoch: int
    step: int
    factor: float


Event = (
    PhaseStarted
    | PhaseProgress
    | FeaturesKept
    | Note
    | ImageSkipped
    | StageStarted
    | StepFinished
    | ValidationProgress
    | EpochFinished
    | StateSaved
    | StageFinished
    | StageCutShort
    | EpochsChanged
    | StageSkipped
    | RateFound
    | MicroBatchHalved
    | RolledBack
)
OnEvent = Callable[[Event], None]
