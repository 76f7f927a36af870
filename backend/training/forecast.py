"""How long a training will take, said before it starts, from what earlier ones took here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.orm import Session

from backend.domain.training import TrainingConfig
from backend.training.repository import PastEpoch, RunRepository

_UNMEASURED_COST: Final = (1.0, 3.0)
"""An epoch of a kind (frozen or not) that has never run here, against one of the other kind, at the least and most."""


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
    work = _images(counts) * config.image_size**2
    measured = {
        is_frozen: [epoch.duration_s / _work(epoch) for epoch in past if _is_frozen(epoch) == is_frozen]
        for is_frozen in (True, False)
    }
    low = high = 0.0
    for stage in config.stages:
        cheapest, dearest = _per_work(measured, stage.freeze)
        low += stage.epochs * work * cheapest
        high += stage.epochs * work * dearest
    beside = runs.seconds_beside_epochs({epoch.run_id for epoch in past})
    number = len({epoch.run_id for epoch in past})
    basis = f"{number} earlier run{'s' if number > 1 else ''} with this architecture here"
    return Forecast(low + min(beside, default=0.0), high + max(beside, default=0.0), None, basis)


def _per_work(measured: Mapping[bool, list[float]], is_frozen: bool) -> tuple[float, float]:
    """Seconds per image and squared pixel of its side, at the least and most."""
    if same := measured[is_frozen]:
        return min(same), max(same)
    other = measured[not is_frozen]
    least, most = _UNMEASURED_COST
    if is_frozen:
        return min(other) / most, max(other) / least
    return min(other) * least, max(other) * most


def _work(epoch: PastEpoch) -> float:
    return float(max(1, _images(epoch.counts)) * epoch.config["image_size"] ** 2)


def _is_frozen(epoch: PastEpoch) -> bool:
    return bool(epoch.config["stages"][epoch.stage]["freeze"])


def _images(counts: Mapping[str, Any]) -> int:
    """Images that an epoch goes through: those to learn from and those to test on."""
    return sum(of_class.get("train", 0) + of_class.get("valid", 0) for of_class in counts.values())
