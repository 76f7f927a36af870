"""JSON bodies of runs, checkpoints and architectures."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field

from backend.domain.architectures import Architecture, PretrainedWeights
from backend.domain.ids import CheckpointId, VersionId
from backend.domain.json import Json
from backend.domain.results import rank_of
from backend.domain.training import RunStatus, TrainingConfig, TrainingRequest
from backend.tables.training import CheckpointRow, EpochRow
from backend.timm_lookup import Listed
from backend.training.marks import NOTE_LENGTH
from backend.training.run_view import RunView
from backend.training.start import Plan, RunOrder
from backend.weights import is_available


class RunCreate(BaseModel):
    """A training to start."""

    model_config = ConfigDict(extra="forbid")

    version_id: str = Field(max_length=64)
    name: str | None = Field(None, min_length=1, max_length=200)
    config: TrainingRequest = TrainingRequest()
    starts_from: str | None = Field(None, max_length=64, description="Id of a checkpoint to go on from.")

    def order(self) -> RunOrder:
        """The same in the words of the use case."""
        starts_from = None if self.starts_from is None else CheckpointId(self.starts_from)
        return RunOrder(VersionId(self.version_id), self.config, self.name, starts_from)


class RunPatch(BaseModel):
    """What to mark a run with; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    starred: bool | None = None
    note: str | None = Field(None, max_length=NOTE_LENGTH)


class RemarkRead(BaseModel):
    """Something that doesn't stop a training but should be known."""

    code: str
    message: str


class ForecastRead(BaseModel):
    """How long a training will take; null where that isn't known, and always what it rests on."""

    seconds_low: float | None
    seconds_high: float | None
    memory_bytes: int | None
    basis: str
    first_model_seconds: float | None = Field(
        None, description="Until the first of several stages has left a model; null where that is the only one."
    )


class PlanRead(BaseModel):
    """A training as it would run, and how long it would take."""

    config: TrainingConfig
    forecast: ForecastRead
    warnings: list[RemarkRead]

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """From the use case's words."""
        forecast = plan.forecast
        return cls(
            config=plan.config,
            forecast=ForecastRead(
                seconds_low=forecast.seconds_low,
                seconds_high=forecast.seconds_high,
                memory_bytes=forecast.memory_bytes,
                basis=forecast.basis,
                first_model_seconds=forecast.first_model_seconds,
            ),
            warnings=[RemarkRead(code=remark.code, message=remark.message) for remark in plan.warnings],
        )


class FailureRead(BaseModel):
    """Why a run failed and what to do."""

    code: str
    message: str
    advice: str


class WaitingRead(BaseModel):
    """What a run waits for."""

    code: str = Field(
        description="turn, device-busy, device-resting, no-worker, no-gpu, next-try, disk-full or starting."
    )
    message: str


class StageCheckpoint(BaseModel):
    """A checkpoint in the list of its run."""

    id: str
    stage: int
    epoch: int
    error_rate: float
    valid_loss: float
    is_best: bool = Field(
        description="Whether it is the run's best so far, whose results are shown. A second stage of `recommended` "
        "must be clearly better, beyond chance."
    )
    created_at: datetime

    @classmethod
    def of_all(cls, rows: Sequence[CheckpointRow]) -> list[Self]:
        """From a run's rows."""
        best = min(rows, key=lambda row: rank_of(row.metrics["valid"]), default=None)
        return [cls.of(row, is_best=row is best) for row in rows]

    @classmethod
    def of(cls, row: CheckpointRow, *, is_best: bool) -> Self:
        """From its row."""
        valid = row.metrics["valid"]
        return cls(
            id=row.id,
            stage=row.stage,
            epoch=row.epoch,
            error_rate=valid["error_rate"],
            valid_loss=valid["loss"],
            is_best=is_best,
            created_at=row.created_at,
        )


_MADE: Final = ("failure", "waits_for", "checkpoints")


class RunRead(BaseModel):
    """A run as it stands; stages and epochs count from 0."""

    id: str
    name: str
    status: RunStatus
    dataset_id: str
    dataset_name: str
    version_id: str
    version_number: int
    config: dict[str, Json]  # a TrainingConfig as it was written down
    rates_found: list[float | tuple[float, float] | None] = Field(
        description='What stages with `"max_lr": "find"` run with, once it is found; null for the others.'
    )
    starts_from: str | None
    retrain_of: str | None = Field(description="The run that it repeats with corrected labels.")
    queue_position: int | None
    waits_for: WaitingRead | None
    phase: str | None
    stage: int | None
    epoch: int | None
    epochs: int
    progress: float
    eta_s: float | None
    device: str | None
    attempt: int
    is_stopping: bool
    failure: FailureRead | None
    checkpoints: list[StageCheckpoint]
    starred: bool
    note: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, view: RunView) -> Self:
        """From the use case's words."""
        failure = view.failure
        return cls(
            failure=FailureRead(code=failure.code, message=failure.message, advice=failure.advice) if failure else None,
            waits_for=WaitingRead(code=waits.code, message=waits.message) if (waits := view.waits_for) else None,
            checkpoints=StageCheckpoint.of_all(view.checkpoints),
            **{name: getattr(view, name) for name in cls.model_fields if name not in _MADE},
        )


class EpochRead(BaseModel):
    """One row of the course's table; losses in nats."""

    stage: int
    epoch: int
    train_loss: float
    valid_loss: float
    error_rate: float
    accuracy: float
    learning_rate: float
    duration_s: float
    attempt: int

    @classmethod
    def of(cls, row: EpochRow) -> Self:
        """From its row."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class CheckpointRead(BaseModel):
    """A finished stage: all that is needed to use it."""

    id: str
    run_id: str
    stage: int
    epoch: int
    architecture: str
    classes: list[str]
    preprocessing: dict[str, Json]
    sha256: str
    bytes: int
    metrics: dict[str, Json]
    parity: dict[str, Json]
    created_at: datetime

    @classmethod
    def of(cls, row: CheckpointRow) -> Self:
        """From its row."""
        values = {name: getattr(row, name) for name in cls.model_fields}
        return cls(**values | {"preprocessing": _with_both_names(row.preprocessing)})


def _with_both_names(preprocessing: dict[str, Json]) -> dict[str, Json]:
    """``std`` was called ``deviation`` until November 2026; programs may read either."""
    std = preprocessing.get("std", preprocessing.get("deviation"))
    return preprocessing if std is None else preprocessing | {"std": std, "deviation": std}


class WeightsRead(BaseModel):
    """Pretrained weights; ``at_hand``: no download is needed."""

    name: str
    source: str
    at_hand: bool
    file_name: str | None
    bytes: int | None

    @classmethod
    def of(cls, source: PretrainedWeights, folder: Path) -> Self:
        """From an entry of the catalogue."""
        return cls(
            name=source.name,
            source=source.source.value,
            at_hand=is_available(source, folder),
            file_name=source.file_name or None,
            bytes=source.size_bytes or None,
        )


class ArchitectureRead(BaseModel):
    """An entry of the catalogue."""

    name: str
    title: str
    family: str
    parameters: int | None
    layer_groups: int | None
    default_image_size: int
    license: str | None = Field(description="Of the weights, as their authors name it; null where that isn't known.")
    weights: list[WeightsRead]

    @classmethod
    def of(cls, entry: Architecture, weights_folder: Path) -> Self:
        """From an entry of the catalogue."""
        weights = [WeightsRead.of(source, weights_folder) for source in entry.weights]
        kept = {name: getattr(entry, name) for name in cls.model_fields if name not in ("weights", "license")}
        return cls(weights=weights, license=entry.license or None, **kept)

    @classmethod
    def of_listed(cls, listed: Listed, weights_folder: Path) -> Self:
        """From the list of timm's networks; what is known only of a described one is None."""
        return cls(
            name=listed.name,
            title=listed.name,
            family=listed.family,
            parameters=None,
            layer_groups=None,
            default_image_size=listed.default_image_size,
            license=listed.license or None,
            weights=[WeightsRead.of(listed.weights, weights_folder)],
        )
