"""The parts of a training, each a line with a word for where it stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy.orm import Session

from backend.domain.json import Json
from backend.domain.training import RunStatus, TrainingConfig
from backend.training.forecast.work import Counts, Work, WorkItem, pieces
from backend.training.repository import RunRepository
from backend.training.run_view import RunView


class LineState(StrEnum):
    """Where a line stands; the word that is shown."""

    DONE = "done"
    RUNNING = "running"
    WAITS = "waits"


@dataclass(frozen=True, slots=True)
class PhaseLine:
    """One part of a training. ``stage`` counts from 0; None is of none."""

    text: str
    stage: int | None
    state: LineState


_TEXTS: Final[Mapping[str, str]] = {
    "start": "Getting ready",
    "data": "Reading the pictures",
    "features": "Showing them to the frozen network",
    "activations": "Showing them to the frozen layers",
    "rate": "Looking for a learning rate",
    "learn": "Learning",
    "evaluation": "Asking about test pictures",
    "export": "Writing and checking the model",
}
_KEY_OF: Final = {
    Work.START: "start",
    Work.READ: "data",
    Work.PREPARE: "features",
    Work.FEATURES: "features",
    Work.ANSWER: "evaluation",
    Work.EXPORT: "export",
}
_NEWS: Final = 200
_Key = tuple[int | None, str]


def phase_lines(session: Session, run: RunView, counts: Mapping[str, Any]) -> tuple[PhaseLine, ...]:
    """The lines of a training that is under way, first to last; none of another."""
    if run.status is not RunStatus.RUNNING:
        return ()
    keys = lines_of(TrainingConfig.model_validate(run.config), Counts.of(counts))
    news = RunRepository(session).log(run.id, ["phase", "stage", "checkpoint"], _NEWS)
    now = reached(keys, [(row.kind, row.data) for row in reversed(news)])
    return tuple(
        PhaseLine(
            _TEXTS[key],
            stage,
            LineState.DONE if place < now else LineState.RUNNING if place == now else LineState.WAITS,
        )
        for place, (stage, key) in enumerate(keys)
    )


def lines_of(config: TrainingConfig, counts: Counts) -> list[_Key]:
    """(stage, what is done) of a training, first to last, each once."""
    return list(dict.fromkeys((piece.stage, _key(piece)) for piece in pieces(config, counts) if piece.amount))


def reached(keys: Sequence[_Key], news: Sequence[tuple[str, Mapping[str, Json]]]) -> int:
    """Place of the line under way, after what the run has told, first to last.

    It never goes back: after an interruption pictures are read once more, which is no news of the training.
    """
    now, finished = 0, 0
    for kind, data in news:
        match kind:
            case "checkpoint":
                finished = data["stage"] + 1
                over = [place for place, (stage, _) in enumerate(keys) if stage is not None and stage < finished]
                now = max([now, *(place + 1 for place in over)])
            case "stage":
                now = max(now, _place(keys, (data["stage"], "learn"), now))
            case _:
                key = data.get("phase", "")
                now = max(now, _place(keys, (None if key == "data" else finished, key), now))
    return now


def _key(piece: WorkItem) -> str:
    if piece.is_search:
        return "rate"
    if piece.epoch is not None:
        return "learn"
    return _KEY_OF.get(piece.work, "activations")


def _place(keys: Sequence[_Key], key: _Key, otherwise: int) -> int:
    return keys.index(key) if key in keys else otherwise
