"""The six steps of the journey, each with a word for how far a dataset has come; every page of a dataset shows them."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from sqlalchemy.orm import Session

from backend.domain.ids import DatasetId
from backend.journey.repository import Progress, ProgressRepository


class StepName(IntEnum):
    """The steps; the numbers are shown."""

    PICTURES = 1
    LABELS = 2
    LOOK = 3
    TRAIN = 4
    UNDERSTAND = 5
    USE = 6


State = Literal["ok", "open", "running", "look", "closed"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it's shown. ``path`` is empty where it can't be opened; ``why_closed`` then says why."""

    name: str
    number: int
    word: str
    state: State
    path: str
    is_current: bool
    why_closed: str = ""


def steps_of(session: Session, dataset_id: DatasetId, current: StepName) -> list[Step]:
    """The steps of a dataset, from the rows that are there."""
    return steps(ProgressRepository(session).of(dataset_id), current)


def steps(progress: Progress, current: StepName) -> list[Step]:
    """The six steps for how far a dataset has come."""
    described = [step(progress) for step in (_pictures, _labels, _look, _train, _understand, _use)]
    return [
        Step(name.name.capitalize(), name.value, word, state, path, name is current, why)
        for name, (word, state, path, why) in zip(StepName, described, strict=True)
    ]


_Description = tuple[str, State, str, str]
"""Word, state, path, and why it is closed."""


def _pictures(progress: Progress) -> _Description:
    path = f"/datasets/{progress.dataset_id}"
    if progress.images:
        return f"ok, {progress.images:,}", "ok", path, ""
    return "none yet", "open", path, ""


def _labels(progress: Progress) -> _Description:
    path = f"/datasets/{progress.dataset_id}/labels"
    if progress.version_id:
        return f"ok, version {progress.version}", "ok", path, ""
    if progress.images:
        return "next", "open", path, ""
    return "not yet", "closed", "", "Add pictures first; ten are enough to try the rules."


def _look(progress: Progress) -> _Description:
    if progress.version_id:
        return "ok" if progress.run else "next", "ok" if progress.run else "open", _version(progress), ""
    return "not yet", "closed", "", "Set the labels first."


def _train(progress: Progress) -> _Description:
    if progress.active_run:
        return progress.active_run.status, "running", f"/runs/{progress.active_run.id}", ""
    if not progress.version_id:
        return "not yet", "closed", "", "Set the labels first."
    path = f"{_version(progress)}/train"
    if progress.run is None:
        is_first = progress.trained is None
        return "not yet" if is_first else f"next, version {progress.version}", "open", path, ""
    if progress.run.status == "succeeded":
        return "ok", "ok", path, ""
    return progress.run.status, "look" if progress.run.status == "failed" else "open", path, ""


def _understand(progress: Progress) -> _Description:
    trained, model = progress.trained, progress.model
    if trained is None and model is not None:
        # The first model of a training that goes on can be looked at meanwhile.
        word = "first model" if model.version == progress.version else f"of version {model.version}"
        return word, "open", f"/runs/{model.run_id}/understand", ""
    if trained is None:
        return "not yet", "closed", "", "Train first; then you see what it gets wrong."
    path = f"/runs/{trained.id}/understand"
    if trained.version == progress.version:
        return "ok", "ok", path, ""
    return f"of version {trained.version}", "open", path, ""


def _use(progress: Progress) -> _Description:
    model = progress.model
    if model is None:
        return "not yet", "closed", "", "Train first; then you can show it new pictures."
    path = f"/checkpoints/{model.id}/try"
    return "ready" if model.version == progress.version else f"of version {model.version}", "open", path, ""


def _version(progress: Progress) -> str:
    return f"/versions/{progress.version_id}"
