"""What the engine tells whoever listens while it trains.

One frozen type per fact; the same value is printed by the shell, stored by the
worker and streamed to the page. Losses in nats, rates of error in [0, 1],
durations in seconds; stages and epochs count from 0.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PhaseStarted:
    """A phase outside the epochs began: ``weights``, ``data``, ``evaluation``, ``export``."""

    phase: str
    text: str


@dataclass(frozen=True, slots=True)
class PhaseProgress:
    """How far a phase is: ``done`` of ``total`` (bytes for a download, images for the rest)."""

    phase: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class ImageSkipped:
    """An image couldn't be read while training and was left out."""

    image_id: str
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage begins (or goes on at ``first_epoch`` after an interruption)."""

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
    """A point from which an interrupted run goes on: at ``step`` of ``epoch`` of ``stage``.

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
    """The memory was too small: batches of ``batch_size`` are now worked off in parts of ``micro_batch`` images."""

    stage: int
    epoch: int
    micro_batch: int
    batch_size: int


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The loss was no longer a number; training goes on from the last good state with the rate times ``factor``."""

    stage: int
    epoch: int
    step: int
    factor: float


Event = (
    PhaseStarted
    | PhaseProgress
    | ImageSkipped
    | StageStarted
    | StepFinished
    | ValidationProgress
    | EpochFinished
    | StateSaved
    | StageFinished
    | StageCutShort
    | RateFound
    | MicroBatchHalved
    | RolledBack
)
OnEvent = Callable[[Event], None]
