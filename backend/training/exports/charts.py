"""The curves of a stage as lines of an SVG drawing, worked out here because the report runs no script."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backend.domain.json import Json
from backend.domain.schedule import planned_points
from backend.training.exports.facts import StageDone
from backend.training.run_page.log import rate_words

WIDTH: Final = 600
HEIGHT: Final = 170
LOW: Final = 90
_POINTS: Final = 300
"""Of a line; more than that no printer shows."""
_TICKS: Final = 4


@dataclass(frozen=True, slots=True)
class Line:
    """A line by the name of its colour: ``points`` as SVG writes them, ``dots`` where single values are known."""

    name: str
    points: str
    dots: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of so many units; ``ticks`` are (height, words) of the scale on the left."""

    title: str
    words: str
    height: int
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...]
    epochs: tuple[tuple[float, str], ...]


def loss_chart(done: StageDone, steps: Iterable[Mapping[str, Json]]) -> Chart:
    """The loss of batches, and of the validation pictures after each epoch."""
    mine = [one for one in steps if one["stage"] == done.number]
    # Several losses of one report lie between it and the report before.
    batches = [
        (int(one["step"]) - len(one["losses"]) + place + 1, float(loss))
        for one in mine
        for place, loss in enumerate(one["losses"])
    ]
    epochs = len(done.epochs)
    last = max((step for step, _ in batches), default=epochs)
    per_epoch = last / epochs
    thinned = _thinned(batches)
    valid = [(per_epoch * (row.epoch + 1), row.valid_loss) for row in done.epochs]
    top = max([loss for _, loss in (*thinned, *valid)], default=1.0) or 1.0

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return round(WIDTH * point[0] / last, 1), round(HEIGHT * (1 - point[1] / top), 1)

    lines = (Line("train", _points(map(at, thinned))), Line("valid", _points(map(at, valid)), tuple(map(at, valid))))
    words = f"Loss of the batches, and of the validation pictures after each of {epochs} epochs"
    ticks = tuple((round(HEIGHT * (1 - part / _TICKS), 1), f"{top * part / _TICKS:.2g}") for part in range(_TICKS + 1))
    return Chart(f"Loss in stage {done.number + 1}", words, HEIGHT, lines, ticks, _epochs(epochs))


def rate_chart(done: StageDone) -> Chart:
    """The learning rate of the head, as it was planned."""
    points = [(share, rate) for share, rate, _ in planned_points(done.stage)]
    top = max(rate for _, rate in points)
    line = Line("rate", _points((round(WIDTH * share, 1), round(LOW * (1 - rate / top), 1)) for share, rate in points))
    ticks = ((0.0, rate_words(top)), (float(LOW), "0"))
    return Chart("Learning rate", "Learning rate of the head over the stage (one cycle)", LOW, (line,), ticks, ())


def _thinned(points: Sequence[tuple[int, float]]) -> list[tuple[float, float]]:
    """At most ``_POINTS`` of them, each the mean of its neighbours."""
    size = -(-len(points) // _POINTS) or 1
    parts = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(step for step, _ in part) / len(part), sum(loss for _, loss in part) / len(part)) for part in parts]


def _points(found: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in found)


def _epochs(epochs: int) -> tuple[tuple[float, str], ...]:
    every = -(-epochs // 10)
    return tuple((round(WIDTH * epoch / epochs, 1), str(epoch)) for epoch in range(0, epochs + 1, every))
