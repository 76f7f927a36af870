"""The ways to train as they would run on one version here: which are offered, in which order, and why others aren't."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from backend.domain.architectures import Architecture, PretrainedWeights, WeightSource
from backend.domain.training import TrainingConfig
from backend.training.forecast.durations import range_words
from backend.training.forecast.forecast import Forecast
from backend.training.form.presets import A_HANDFUL, CUSTOM, PRESETS, QUICK_LOOK, Preset
from backend.training.start import Planner, StartDiffers

_CLEARLY: Final = 1.2
"""A preset is called slower where it takes so many times as long."""
_SHORTEST_S: Final = 5.0
_LONGEST_S: Final = 3600.0
"""Times at which the bar of a preset is empty and full; it is logarithmic."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A preset as it would run on this version.

    Attributes:
        missing: the weights that have to be fetched, or copied to the server, before it can start; None for none.
        why_not: why it isn't offered beside the others; empty where it is.
    """

    preset: Preset
    config: TrainingConfig
    forecast: Forecast
    missing: PretrainedWeights | None
    why_not: str = ""

    @property
    def architecture(self) -> Architecture:
        """Its network."""
        return self.config.entry

    @property
    def time(self) -> str:
        """Its forecast in words; empty where nothing is known."""
        return time_words(self.forecast)

    @property
    def usable_after(self) -> float | None:
        """Seconds until it has left a good model, at the most; None where nothing is known."""
        # Only planned stages begin with one that is good by itself.
        first = self.forecast.first_model_seconds if self.config.minutes is not None else None
        return first or self.forecast.seconds_high

    @property
    def time_share(self) -> float:
        """Length of the bar of its time, in [0, 1]; half of a minute's and of ten minutes' differ as much as both."""
        seconds = min(max(self.forecast.seconds_high or 0.0, _SHORTEST_S), _LONGEST_S)
        return max(0.05, math.log(seconds / _SHORTEST_S) / math.log(_LONGEST_S / _SHORTEST_S))


def offers(planner: Planner, pictures: int, *, downloads_fail: bool, has_custom: bool) -> list[Offer]:
    """All presets, those that are offered first, the quickest first.

    ``downloads_fail``: the last download of weights failed. ``has_custom``: the one without a meaning of its own too.
    """
    found = [_offer(planner, preset) for preset in PRESETS if preset is not CUSTOM or has_custom]
    found = [replace(one, why_not=one.why_not or _why_not(one, found, pictures, downloads_fail)) for one in found]
    return sorted(found, key=lambda one: (one.why_not != "", one.usable_after or math.inf))


def time_words(known: Forecast) -> str:
    """A forecast in words; empty where nothing is known."""
    if known.seconds_low is None or known.seconds_high is None:
        return ""
    return range_words(known.seconds_low, known.seconds_high)


def stages_in_words(config: TrainingConfig) -> str:
    """``10 epochs on the last layers, 2 on all layers``."""
    parts = []
    for number, stage in enumerate(config.stages):
        epochs = f"{stage.epochs} epoch{'' if stage.epochs == 1 else 's'}" if number == 0 else str(stage.epochs)
        parts.append(f"{epochs} on {'the last layers' if stage.freeze else 'all layers'}")
    return ", ".join(parts)


def _offer(planner: Planner, preset: Preset) -> Offer:
    try:
        planned = planner.plan(preset.request)
    except StartDiffers as refusal:
        config = preset.config()
        return Offer(preset, config, planner.forecaster.forecast(config), None, refusal.message)
    return Offer(preset, planned.config, planned.forecast, planned.missing)


def _why_not(offer: Offer, others: Iterable[Offer], pictures: int, downloads_fail: bool) -> str:
    if offer.missing is not None and (downloads_fail or offer.missing.source is WeightSource.PACKAGE):
        return "Can't start now: its pretrained weights aren't on this server, and downloading them failed."
    if pictures < A_HANDFUL and offer.preset is not QUICK_LOOK:
        return "More than so few pictures need."
    better = next((one for one in others if _is_better(one, offer)), None)
    return f"Slower than “{better.preset.title}”, and not expected to be better." if better else ""


def _is_better(one: Offer, other: Offer) -> bool:
    """Whether a preset is quicker than another and expected to give at least as good a model."""
    if one.preset.quality is None or other.preset.quality is None or one.missing is not None or one.why_not:
        return False
    if one.usable_after is None or other.usable_after is None:
        return False
    is_quicker = one.usable_after * _CLEARLY <= other.usable_after
    return is_quicker and one.preset.quality >= other.preset.quality


def chosen_first(found: Sequence[Offer], chosen: Preset) -> tuple[list[Offer], list[Offer]]:
    """The offers to show at once, the chosen one among them, and the others."""
    shown = [one for one in found if not one.why_not or one.preset is chosen]
    return shown, [one for one in found if one not in shown]
