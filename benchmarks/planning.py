"""Fills in all numbers of a request; the stages of ``recommended`` are planned as in the product."""

import math
from collections.abc import Sequence

from backend.domain.json import Json
from backend.domain.training import TrainingConfig, TrainingRequest, resolve
from backend.training.forecast.load import QUIET, Load
from backend.training.forecast.speeds import Rates, Speed
from backend.training.forecast.work import Counts, Work, work_items
from backend.training.within_time import DEFAULT_MINUTES, within_time


def planned_config(
    request: TrainingRequest, counts: Counts, speeds: Sequence[Speed], load: Load = QUIET
) -> TrainingConfig:
    """The config that the product would run for the first training on so many pictures.

    ``speeds`` are those of the test of the machine, which the product makes when it starts; ``load`` is what other
    programs do now.
    """
    config = resolve(request)
    if not request.is_planned:
        return config
    rates = Rates(speeds)

    def seconds_of(one: TrainingConfig) -> float:
        estimates = [rates.estimate(item, one.architecture) for item in work_items(one, counts)]
        known = [one.seconds * load.slowdown(one.item.work) for one in estimates if one is not None]
        return sum(known) if len(known) == len(estimates) else math.inf

    return within_time(config, request.minutes or DEFAULT_MINUTES, counts.train, seconds_of)


def speed_of(content: dict[str, Json], run_id: str | None = None) -> Speed:
    """A measured speed from JSON."""
    return Speed(**{**content, "work": Work(content["work"]), "run_id": run_id})
