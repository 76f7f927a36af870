"""Orders to the engine and their results, as its callers (shell, worker, tests) use them; needs no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from backend.domain.ids import Digest
from backend.domain.manifest import Manifest
from backend.domain.results import model_rank
from backend.domain.training import TrainingConfig

OpenBytes = Callable[[Digest], bytes]
"""The bytes of an image; raises ``OSError`` or an ``AppError`` where they can't be had. Must be picklable."""


class StopSignal(Protocol):
    """A request to stop, which the engine checks at every step."""

    def requested(self) -> bool:
        """Whether to stop now. Cheap: called several times a second."""
        ...

    def finish_requested(self) -> bool:
        """Whether to end after this epoch: the stage keeps what it has, and no other follows."""
        ...


class NeverStop:
    """A ``StopSignal`` that is never given."""

    def requested(self) -> bool:
        """Never."""
        return False

    def finish_requested(self) -> bool:
        """Never."""
        return False


class Stopped(Exception):
    """The engine stopped because of its stop signal; all that was saved before stays valid.

    Not an ``AppError``: nothing went wrong.
    """


BESIDE_STATES: Final = ("backbone-*.safetensors", "best-*.safetensors")
"""Patterns of the files that states refer to, in their folder."""


@dataclass(frozen=True, slots=True)
class StatePoint:
    """A saved point from which an interrupted run can continue: at ``step`` of ``epoch`` of ``stage``.

    The fields of the ``StateSaved`` event that announced it.
    """

    stage: int
    epoch: int
    step: int
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class TrainingOrder:
    """All that one training needs.

    Attributes:
        output_folder: gets one folder ``stage-{n}`` per finished stage, each whole or absent.
        state_folder: gets the states to resume from, after every epoch; the last two are kept.
        weights_folder: where downloaded pretrained weights lie and are put.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.
        resume_from: points to continue from, newest first; a damaged one is passed over.
        weights_url_base: where weights are downloaded from instead of torchvision's own place.
        starts_from: folder of a checkpoint whose weights are the beginning instead of ImageNet's.
        features_folder: where features of frozen layers are kept from run to run; None keeps none.
        compiles: whether long stages may compile their network first, where that pays.
        max_loader_processes: at most so many processes prepare images beside the training.
    """

    manifest: Manifest
    config: TrainingConfig
    open_bytes: OpenBytes
    output_folder: Path
    state_folder: Path
    weights_folder: Path
    device: str = "auto"
    resume_from: tuple[StatePoint, ...] = ()
    weights_url_base: str | None = None
    starts_from: Path | None = None
    features_folder: Path | None = None
    compiles: bool = True
    max_loader_processes: int = 4


@dataclass(frozen=True, slots=True)
class StageResult:
    """A finished stage: the figures of its checkpoint on the validation images.

    Attributes:
        is_within_chance: it must improve on the stage before it, and did so by no more than chance would explain.
    """

    stage: int
    folder: Path
    valid_loss: float
    error_rate: float
    is_within_chance: bool = False


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """A finished training, one entry per stage in their order."""

    stages: tuple[StageResult, ...]

    @property
    def best(self) -> StageResult:
        """The stage that ``model_rank`` puts first."""
        return min(
            self.stages,
            key=lambda one: model_rank(one.error_rate, one.valid_loss, is_within_chance=one.is_within_chance),
        )
