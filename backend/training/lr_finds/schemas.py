"""JSON bodies of searches for a learning rate."""

from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from backend.domain.ids import CheckpointId, VersionId
from backend.domain.json import Json
from backend.domain.training import RunStatus, TrainingRequest
from backend.training.lr_finds.service import FindView
from backend.training.schemas import FailureRead
from backend.training.start import RunOrder


class FindCreate(BaseModel):
    """A search to start: for the stage whose ``max_lr`` is ``"find"``, else for the first."""

    model_config = ConfigDict(extra="forbid")

    version_id: str = Field(max_length=64)
    config: TrainingRequest = TrainingRequest()
    starts_from: str | None = Field(None, max_length=64, description="Id of a checkpoint; null is the fresh head.")
    run_id: str | None = Field(None, max_length=64, description="A run beside whose stages it is shown.")

    def order(self) -> RunOrder:
        """The same in the words of the use case."""
        starts_from = None if self.starts_from is None else CheckpointId(self.starts_from)
        return RunOrder(VersionId(self.version_id), self.config, starts_from=starts_from)


class SuggestionsRead(BaseModel):
    """What each rule says; null where it finds nothing."""

    valley: float | None = None
    steep: float | None = None
    minimum: float | None = None
    slide: float | None = None


class FindRead(BaseModel):
    """A search as it stands; its curve and choice once it has succeeded.

    ``chosen`` is the rate on the curve, ``max_lr`` what the stage gets of it: the rate itself for a frozen
    stage, [lowest layers, head] for another. ``rule`` is null where the curve has no slope.
    """

    id: str
    status: RunStatus
    dataset_id: str
    version_id: str
    run_id: str | None
    config: dict[str, Json]  # a TrainingConfig of one stage
    starts_from: str | None
    queue_position: int | None
    phase: str | None
    progress: float
    is_stopping: bool
    learning_rates: list[float]
    losses: list[float]
    losses_low: list[float]
    losses_high: list[float]
    tries: int = Field(description="Seeds that the curve is the middle and the band the range of.")
    suggestions: SuggestionsRead
    rule: str | None
    chosen: float | None
    max_lr: float | tuple[float, float] | None
    explanation: str | None
    failure: FailureRead | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, view: FindView) -> Self:
        """From the use case's words."""
        failure, result = view.failure, view.result or {}
        curve = {name: result.get(name, []) for name in ("learning_rates", "losses", "losses_low", "losses_high")}
        choice = {name: result.get(name) for name in ("rule", "chosen", "max_lr", "explanation")}
        rest = {name: getattr(view, name) for name in cls.model_fields if hasattr(view, name) and name != "failure"}
        return cls(
            failure=FailureRead(code=failure.code, message=failure.message, advice=failure.advice) if failure else None,
            suggestions=SuggestionsRead(**result.get("suggestions", {})),
            tries=result.get("tries", 0),
            **curve,
            **choice,
            **rest,
        )
