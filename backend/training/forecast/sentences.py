"""What is said of a training's device, time and memory before it starts."""

from collections.abc import Iterable
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
        device: what it runs on, in how long, and what would be much quicker.
        memory: what it needs and what there is; empty where nobody knows.
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
    needed = known.memory_bytes or 0
    fits = total is None or needed <= total
    return Outlook(
        device=device_sentence(kind, known, others),
        memory=memory_sentence(kind, needed, total, roomiest.memory_free_bytes if roomiest else None),
        fits=fits,
        half=None if fits else _half(config, kind, needed, forecaster.counts.train),
        reading=_reading(forecaster, config),
    )


def device_sentence(kind: str, known: Forecast, others: Iterable[tuple[str, Forecast]]) -> str:
    """``No graphics card: about 40 min on the processor. “Recommended” takes about 2 min.``"""
    if kind != "cpu":
        return f"{_time(known).capitalize()} on the graphics card." if _time(known) else ""
    if not _time(known):
        return "No graphics card: it runs on the processor, which takes its time."
    said = f"No graphics card: {_time(known)} on the processor."
    timed = [(title, other) for title, other in others if other.seconds_high is not None]
    title, quickest = min(timed, key=lambda one: one[1].seconds_high or 0.0, default=("", None))
    if quickest is None or (quickest.seconds_high or 0.0) > _MUCH_QUICKER * (known.seconds_high or 0.0):
        return said
    return f"{said} “{title}” takes {_time(quickest)}."


def memory_sentence(kind: str, needed: int, total: int | None, free: int | None) -> str:
    """``Needs about 3.1 GB; this graphics card has 7.8 GB free.``"""
    if not needed:
        return ""
    device = "graphics card" if kind == "cuda" else "computer"
    if total is None:
        return f"Needs about {_gigabytes(needed)} of memory."
    if needed > total:
        return f"{_gigabytes(needed)} of memory needed, {_gigabytes(total)} there."
    if free is None:
        return f"Needs about {_gigabytes(needed)}; this {device} has {_gigabytes(total)}."
    short = " now, which is too little: it will work in smaller parts, slower" if needed > free else ""
    return f"Needs about {_gigabytes(needed)}; this {device} has {_gigabytes(free)} free{short}."


def reading_sentence(found: Timetable, *, is_kept: bool) -> str:
    """``Pictures are read at about 410 a second, which sets the pace.``; ``is_kept``: the network sees each once."""
    read = [one for one in found.estimates if one.piece.work is Work.READ and one.seconds > 0]
    if not read:
        return ""
    speed = read[0].piece.amount / read[0].seconds
    sets_pace = read[0].seconds >= max(one.seconds for one in found.estimates)
    said = f"Pictures are read at about {_round(speed):,} a second{', which sets the pace' if sets_pace else ''}."
    if not is_kept:
        return said
    return f"{said} What the frozen network says of each is kept, so that the next training like it reads none again."


def slower_words(said: Forecast | None, elapsed_s: float, left_s: float | None, because: str = "") -> str:
    """``Slower than we said: 6 → 9 min``, with the reason where one is known; empty while it keeps to what was said."""
    if said is None or said.seconds_high is None or left_s is None:
        return ""
    now = elapsed_s + left_s
    if now <= said.seconds_high:
        return ""
    before = range_words(said.seconds_high, said.seconds_high).removeprefix("about ")
    after = range_words(now, now).removeprefix("about ")
    if before == after:
        return ""
    # Two units are told apart; of two alike the first one's can go.
    (number, _, unit), other = before.partition(" "), after.partition(" ")[2]
    said_now = f"Slower than we said: {number if unit == other else before} → {after}"
    return f"{said_now}, because {because}" if because else said_now


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
