"""The log of a run in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from backend.domain.json import Json
from backend.domain.lr_finder import words
from backend.tables.training import RunEventRow
from backend.training.repository import RunRepository

_LINES: Final = 100
_MOST_SKIPPED: Final = 1000

Data = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One thing that happened."""

    row: RunEventRow
    text: str


@dataclass(frozen=True, slots=True)
class SkippedImage:
    """A picture that couldn't be read while training, and why."""

    path: str
    reason: str


def log_of(session: Session, run_id: str) -> tuple[LogLine, ...]:
    """The newest lines of a run's log, the newest first."""
    rows = RunRepository(session).log(run_id, _WORDS, _LINES)
    return tuple(LogLine(row, _WORDS[row.kind](row.data)) for row in rows)


def skipped_images(session: Session, run_id: str) -> tuple[SkippedImage, ...]:
    """Pictures that were left out, each once, in the order in which they were met."""
    rows = RunRepository(session).log(run_id, ["image-skipped"], _MOST_SKIPPED)
    found = {row.data["image_id"]: SkippedImage(row.data["path"], row.data["reason"]) for row in reversed(rows)}
    return tuple(found.values())


def rate_words(max_lr: Json) -> str:
    """``2.5e-3``, or ``2.5e-5 to 2.5e-4`` from the lowest layers to the head."""
    return " to ".join(map(words, max_lr)) if isinstance(max_lr, list | tuple) else words(max_lr)


def _stage(data: Data) -> str:
    going_on = f", resumed at epoch {data['first_epoch']}" if data["first_epoch"] else ""
    what = "training the last layers" if data["freeze"] else "training all layers"
    return f"Stage {data['stage'] + 1}: {what}, {data['epochs']} epochs on {data['device']}{going_on}"


def _halved(data: Data) -> str:
    return (
        f"Memory ran out, so each batch is now computed {data['micro_batch']} images at a time. "
        f"The effective batch size stays {data['batch_size']}; batch norm layers that are trained see only "
        f"{data['micro_batch']} images at a time, which can change the result"
    )


def _rolled_back(data: Data) -> str:
    return (
        f"Stage {data['stage'] + 1}, epoch {data['epoch']}: the loss became NaN or infinite, mostly because the "
        f"learning rate is too high; training continues from the last good state with the rate times {data['factor']:g}"
    )


_WORDS: Final[Mapping[str, Callable[[Data], str]]] = {
    "phase": lambda data: str(data["text"]),
    "note": lambda data: str(data["text"]),
    "stage": _stage,
    "rate-found": lambda data: (
        f"Stage {data['stage'] + 1}: the learning-rate finder chose {rate_words(data['max_lr'])}"
    ),
    "stage-cut-short": lambda data: f"Stage {data['stage'] + 1} ends after epoch {data['epoch']}: {data['reason']}",
    "epochs-changed": lambda data: (
        f"Stage {data['stage'] + 1}: {data['epochs']} of the {data['planned']} planned epochs fit into the time limit "
        "at the present speed; the learning rate comes down accordingly"
    ),
    "stage-skipped": lambda data: f"Stage {data['stage'] + 1} isn't needed: {data['reason']}",
    "micro-batch-halved": _halved,
    "rolled-back": _rolled_back,
    "image-skipped": lambda data: f"Left out: {data['path']}, because {data['reason']}",
    "checkpoint": lambda data: (
        f"Stage {data['stage'] + 1} finished: error rate {100 * data['error_rate']:.2f} %, model kept"
    ),
}
"""Each kind of event that is worth a line."""
