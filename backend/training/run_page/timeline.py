"""The parts of a training in the order in which they are done, each with a word for its state."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from backend.domain.json import Json
from backend.domain.training import RunStatus, TrainingConfig
from backend.training.forecast.cursor import Activity, activity_of
from backend.training.forecast.work import Counts, work_items
from backend.training.run_view import RunView


class PartState(StrEnum):
    """How far a part is; the word that is shown."""

    DONE = "done"
    RUNNING = "running"
    WAITING = "not yet"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a training. ``stage`` counts from 0; None is of none."""

    text: str
    stage: int | None
    state: PartState


_TEXTS: Final[Mapping[Activity, str]] = {
    Activity.START: "Starting",
    Activity.READ: "Reading images",
    Activity.FEATURES: "Computing features",
    Activity.ACTIVATIONS: "Computing features of the frozen layers",
    Activity.SEARCH: "Learning-rate finder",
    Activity.LEARN: "Training",
    Activity.EVALUATE: "Evaluating",
    Activity.EXPORT: "Exporting and checking the model",
}
_Key = tuple[int | None, Activity]


def timeline(run: RunView, counts: Mapping[str, Json]) -> tuple[Part, ...]:
    """The parts of a training that is under way, first to last; none of another."""
    if run.status is not RunStatus.RUNNING:
        return ()
    keys = parts_of(TrainingConfig.model_validate(run.config), Counts.of(counts))
    now = _index_of(keys, run.stage, run.activity)
    return tuple(Part(_TEXTS[activity], stage, _state(index, now)) for index, (stage, activity) in enumerate(keys))


def parts_of(config: TrainingConfig, counts: Counts) -> list[_Key]:
    """(stage, activity) of a training, first to last, each once."""
    return list(dict.fromkeys((item.stage, activity_of(item)) for item in work_items(config, counts) if item.amount))


def _index_of(keys: list[_Key], stage: int | None, activity: str | None) -> int:
    """Of the part at which the run's cursor is; the first one where that isn't known yet."""
    return next((index for index, (at, name) in enumerate(keys) if at in (None, stage) and name == activity), 0)


def _state(index: int, now: int) -> PartState:
    if index == now:
        return PartState.RUNNING
    return PartState.DONE if index < now else PartState.WAITING
