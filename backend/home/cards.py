"""A dataset as the first page shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.orm import Session

from backend.datasets.lists import DatasetSummary
from backend.home.repository import CardRepository, CardRun, CardVersion, Score

Tone = Literal["", "run", "bad"]
_ACTIVE = ("running", "queued", "paused")
SPARK_HEIGHT = 24
SPARK_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Status:
    """How far a dataset has come, in a word or two; empty where its score says it."""

    words: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class DatasetCard:
    """A dataset as the first page shows it.

    Attributes:
        best: the best score of its runs.
        trend: share right of each run that has a model, the oldest first.
        last, last_words: when something happened to it, and what.
        links: (words, path) of its pages.
    """

    id: str
    name: str
    images: int
    classes: int
    thumbnails: list[str]
    best: Score | None
    trend: list[float]
    status: Status
    last: datetime
    last_words: str
    links: list[tuple[str, str]]

    @property
    def sparkline(self) -> str:
        """The trend as the points of a line, 100 wide and 24 high; empty with fewer than two runs."""
        if len(self.trend) < 2:
            return ""
        low, span = min(self.trend), max(self.trend) - min(self.trend)
        step = SPARK_WIDTH / (len(self.trend) - 1)
        heights = ((SPARK_HEIGHT - 4) * (1 - (share - low) / span if span else 0.5) + 2 for share in self.trend)
        return " ".join(f"{number * step:.1f},{height:.1f}" for number, height in enumerate(heights))


def dataset_cards(session: Session, summaries: Sequence[DatasetSummary]) -> list[DatasetCard]:
    """The cards of some datasets, in their order."""
    cards = CardRepository(session)
    ids = [summary.row.id for summary in summaries]
    versions, runs = cards.newest_versions(ids), cards.runs(ids)
    return [
        _card(summary, cards.faces(summary.row.id), versions.get(summary.row.id), runs.get(summary.row.id, []))
        for summary in summaries
    ]


def _card(
    summary: DatasetSummary, faces: list[str], version: CardVersion | None, runs: Sequence[CardRun]
) -> DatasetCard:
    row = summary.row
    scores = [run.score for run in reversed(runs) if run.score]
    last, last_words = _last(row.created_at, version, runs)
    return DatasetCard(
        id=row.id,
        name=row.name,
        images=row.images,
        classes=summary.classes,
        thumbnails=faces,
        best=min(scores, key=lambda score: score.error_rate, default=None),
        trend=[1 - score.error_rate for score in scores],
        status=_status(summary, runs),
        last=last,
        last_words=last_words,
        links=_links(row.id, row.images, version, runs),
    )


def _status(summary: DatasetSummary, runs: Sequence[CardRun]) -> Status:
    active = min(
        (run for run in runs if run.status in _ACTIVE), key=lambda run: _ACTIVE.index(run.status), default=None
    )
    if active and active.status == "running":
        return Status(f"training, {100 * active.progress:.0f} %", "run")
    if active:
        return Status(f"training {active.status}", "run")
    if any(run.score for run in runs):
        return Status("")
    if runs and runs[0].status == "failed":
        return Status("training failed", "bad")
    if summary.versions:
        return Status("not trained yet")
    return Status("labels not set yet" if summary.row.images else "no pictures yet")


def _last(created: datetime, version: CardVersion | None, runs: Sequence[CardRun]) -> tuple[datetime, str]:
    if runs and (version is None or runs[0].created_at >= version.created_at):
        return runs[0].created_at, "last training"
    return (version.created_at, "labels set") if version else (created, "created")


def _links(dataset_id: str, images: int, version: CardVersion | None, runs: Sequence[CardRun]) -> list[tuple[str, str]]:
    links = [("Pictures", f"/datasets/{dataset_id}")]
    if images:
        links.append(("Labels", f"/datasets/{dataset_id}/labels"))
    if version:
        links.append(("Train", f"/versions/{version.id}/train"))
    if trained := next((run for run in runs if run.score and run.status == "succeeded"), None):
        links.append(("Results", f"/runs/{trained.id}/understand"))
        links.append(("Try the model", f"/checkpoints/{trained.checkpoint_id}/try"))
    links.append(("Rename", f"/datasets/{dataset_id}#rename"))
    links.append(("Delete", f"/datasets/{dataset_id}#delete"))
    return links
