"""What is said of a training's device, time and memory before it starts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from backend.domain.memory import memory_needed
from backend.domain.training import TrainingConfig
from backend.training.forecast.durations import range_words
from backend.training.forecast.forecast import Forecast, Forecaster, Timetable
from backend.training.forecast.work import Work

_MUCH_QUICKER: Final = 0.5
_HALVES_FROM: Final = 4
_GIGABYTE: Final = 1e9
_MANY: Final = 10_000
"""So many pictures, from which on the speed of reading them is worth a word."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Sentences of the train page.

    Attributes:
        device: the device, how long it takes there, and what would be much quicker.
        memory: what is needed and what is available; empty where unknown.
        fits: whether the memory is there at all.
        half: the batch that is offered where it isn't; None where that wouldn't help.
        reading: how fast pictures are read; empty where they are few, or nobody knows.
    """

    device: str
    memory: str
    fits: bool
    half: int | None
    reading: str = ""


def forecast_sentences(
    forecaster: Forecaster, config: TrainingConfig, known: Forecast, others: Iterable[tuple[str, Forecast]]
) -> Outlook:
    """What a person should know of a training's time and memory; ``others``: the presets beside it, by title."""
    kind = forecaster.device(config.device)
    workers = [row for row in forecaster.workers if (row.device or "cpu").startswith(kind)]
    roomiest = max(workers, key=lambda row: row.memory_bytes or 0, default=None)
    total = roomiest.memory_bytes if roomiest else None
    name = (roomiest.device_name or "") if roomiest else ""
    needed = known.memory_bytes or 0
    fits = total is None or needed <= total
    return Outlook(
        device=device_sentence(kind, known, others, name) if workers or kind == "cpu" else "",
        memory=memory_sentence(kind, needed, total, roomiest.memory_free_bytes if roomiest else None),
        fits=fits,
        half=None if fits else _half(config, kind, needed, forecaster.counts.train),
        reading=_reading(forecaster, config),
    )


def device_sentence(kind: str, known: Forecast, others: Iterable[tuple[str, Forecast]], name: str = "") -> str:
    """``Runs on the processor; there is no graphics card. “Recommended” takes about 2 min.``; ``name``: of the card."""
    if kind != "cpu":
        return f"Runs on the graphics card{f' ({name})' if name else ''}."
    sentence = "Runs on the processor; there is no graphics card."
    timed = [(title, other) for title, other in others if other.seconds_high is not None]
    title, quickest = min(timed, key=lambda one: one[1].seconds_high or 0.0, default=("", None))
    if quickest is None or (quickest.seconds_high or 0.0) > _MUCH_QUICKER * (known.seconds_high or 0.0):
        return sentence
    return f"{sentence} “{title}” takes {_time(quickest)}."


def memory_sentence(kind: str, needed: int, total: int | None, free: int | None) -> str:
    """``Needs about 3.1 GB of memory; the graphics card has 7.8 GB free.``"""
    if not needed:
        return ""
    device = "graphics card" if kind == "cuda" else "computer"
    if total is None:
        return f"Needs about {_gigabytes(needed)} of memory."
    if needed > total:
        return f"Needs about {_gigabytes(needed)} of memory; the {device} has only {_gigabytes(total)}."
    if free is None:
        return f"Needs about {_gigabytes(needed)} of memory; the {device} has {_gigabytes(total)}."
    short = " now. That is too little, so it works in smaller parts, more slowly" if needed > free else ""
    return f"Needs about {_gigabytes(needed)} of memory; the {device} has {_gigabytes(free)} free{short}."


def reading_sentence(found: Timetable, *, is_kept: bool) -> str:
    """``Pictures are read at about 410 a second, which sets the pace.``; ``is_kept``: the network sees each once."""
    read = [one for one in found.estimates if one.item.work is Work.READ and one.seconds > 0]
    if not read:
        return ""
    speed = read[0].item.amount / read[0].seconds
    limits = read[0].seconds >= max(one.seconds for one in found.estimates)
    said = f"About {_round(speed):,} pictures are read a second{', which limits the speed' if limits else ''}."
    if not is_kept:
        return said
    return f"{said} Their features are kept, so the next training of this kind reads none of them again."


def correction_words(
    said: Forecast | None, elapsed_s: float, left_s: float | None, because: Callable[[], str] = str
) -> str:
    """``Slower than estimated: now about 9 min``, with the reason where one is known; or faster.

    Empty while the time lies in the forecast's range, or would be rounded to an end of it.
    """
    if said is None or said.seconds_low is None or said.seconds_high is None or left_s is None:
        return ""
    now = elapsed_s + left_s
    end = max(min(now, said.seconds_high), said.seconds_low)
    if range_words(now, now) == range_words(end, end):
        return ""
    if now < end:
        return f"Faster than estimated: now {range_words(now, now)}"
    sentence = f"Slower than estimated: now {range_words(now, now)}"
    reason = because()
    return f"{sentence}, because {reason}" if reason else sentence


def _reading(forecaster: Forecaster, config: TrainingConfig) -> str:
    if forecaster.counts.whole < _MANY:
        return ""
    found = forecaster.timetable(config)
    is_kept = all(stage.features_are_constant for stage in config.stages)
    return reading_sentence(found, is_kept=is_kept) if found else ""


def _round(speed: float) -> int:
    """To two figures: nobody knows it better."""
    return 10 * round(speed / 10) if speed >= 100 else max(1, round(speed))


def _half(config: TrainingConfig, kind: str, needed: int, images: int) -> int | None:
    batch = min(config.batch_size, images)
    if batch < _HALVES_FROM:
        return None
    half = batch // 2
    helps = memory_needed(config.model_copy(update={"batch_size": half}), kind) < needed
    return half if helps else None


def _gigabytes(size: int) -> str:
    return f"{size / _GIGABYTE:.1f} GB"


def _time(known: Forecast) -> str:
    if known.seconds_low is None or known.seconds_high is None:
        return ""
    return range_words(known.seconds_low, known.seconds_high)
