"""The stages of the recommended recipe, chosen so that they end within the time that there is."""

from collections.abc import Callable, Iterator
from typing import Final

from backend.domain.catalogue import suitable_size
from backend.domain.training import Stage, TrainingConfig

DEFAULT_MINUTES: Final = 10.0
"""Time that a recommended training may take unless another is asked for."""

_MINUTE_S: Final = 60.0
_EFFORTS: Final = ((60_000, 160), (30_000, 128), (18_000, 128), (10_000, 128), (6_000, 128))
"""Pictures shown in the second stage, repetitions included, and their size, the best first (docs/speed.md)."""
_FEWEST_EPOCHS: Final = 5
_MOST_EPOCHS: Final = 60


def within_time(
    config: TrainingConfig, minutes: float, images: int, seconds_of: Callable[[TrainingConfig], float]
) -> TrainingConfig:
    """The config with the best second stage that ends in time; without one where none does.

    ``images`` are learnt from; ``seconds_of`` forecasts a training.
    """
    first, *rest = config.stages
    planned = config.model_copy(update={"minutes": minutes, "stages": (first,)})
    whole = [planned.model_copy(update={"stages": (first, stage)}) for stage in _efforts(rest, config, images)]
    return next((one for one in whole if seconds_of(one) <= minutes * _MINUTE_S), planned)


def _efforts(stages: list[Stage], config: TrainingConfig, images: int) -> Iterator[Stage]:
    """The stage after the frozen one, with as many epochs and as large pictures as an effort allows."""
    for usual in stages:
        for shown, side in _EFFORTS:
            epochs = min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, round(shown / max(1, images))))
            # Smaller pictures than the first stage's save time; larger ones were not asked for.
            yield usual.model_copy(
                update={"epochs": epochs, "image_size": suitable_size(config.entry, min(side, config.image_size))}
            )
