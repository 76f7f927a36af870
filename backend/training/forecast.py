"""How long a training will take, said before it starts, from what earlier ones took here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from backend.domain.training import TrainingConfig
from backend.training.cost import stage_cost
from backend.training.repository import PastEpoch, RunRepository

_SINGLE_RUN: Final = 1.3
"""A forecast that rests on one run may be off by this factor either way."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds at the least and most; None where nothing is known. ``basis`` says what they rest on."""

    seconds_low: float | None
    seconds_high: float | None
    memory_bytes: int | None
    basis: str


def forecast(session: Session, config: TrainingConfig, counts: Mapping[str, Any]) -> Forecast:  # Any: JSON values
    """What a training of ``config`` on a version with these ``counts`` will take.

    The memory is not known beforehand in this version and left open.
    """
    runs = RunRepository(session)
    past = runs.past_epochs(config.architecture)
    if not past:
        return Forecast(None, None, None, "unknown, first run")
    work = _work(config, counts)
    rates = [seconds / _work(run.config, run.counts) for run, seconds in _whole_runs(past)]
    if not rates:
        return Forecast(None, None, None, "unknown, first run")
    beside = runs.seconds_beside_epochs({epoch.run_id for epoch in past})
    low, high = min(rates) * work + min(beside, default=0.0), max(rates) * work + max(beside, default=0.0)
    if len(rates) == 1:
        low, high = low / _SINGLE_RUN, high * _SINGLE_RUN
    basis = f"{len(rates)} earlier run{'s' if len(rates) > 1 else ''} with this architecture here"
    return Forecast(low, high, None, basis)


def _whole_runs(past: Iterable[PastEpoch]) -> list[tuple[PastEpoch, float]]:
    """One epoch of each run all of whose epochs are known, with the seconds of them all."""
    by_run: dict[str, list[PastEpoch]] = {}
    for epoch in past:
        by_run.setdefault(epoch.run_id, []).append(epoch)
    return [
        (epochs[0], sum(epoch.duration_s for epoch in epochs))
        for epochs in by_run.values()
        if len(epochs) == TrainingConfig.model_validate(epochs[0].config).epochs
    ]


def _work(config: TrainingConfig | Mapping[str, Any], counts: Mapping[str, Any]) -> float:  # Any: JSON values
    """Cost of all stages, times images, times pixels."""
    whole = config if isinstance(config, TrainingConfig) else TrainingConfig.model_validate(config)
    cost = sum(stage_cost(stage) for stage in whole.stages)
    return cost * max(1, _images(counts)) * whole.image_size**2


def _images(counts: Mapping[str, Any]) -> int:
    """Images that an epoch goes through: those to learn from and those to test on."""
    return sum(of_class.get("train", 0) + of_class.get("valid", 0) for of_class in counts.values())
