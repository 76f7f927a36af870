"""Reads across the features for the first page; writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.datasets.urls import thumbnail_url
from backend.journey.repository import status_of
from backend.ledger.job import JobState
from backend.tables.datasets import ImageRow, VersionRow
from backend.tables.ledger import JobRow
from backend.tables.training import CheckpointRow, RunRow


@dataclass(frozen=True, slots=True)
class Score:
    """``errors`` of ``images`` validation pictures, reached by the best model of a run."""

    errors: int
    images: int

    @property
    def error_rate(self) -> float:
        """In [0, 1]."""
        return self.errors / self.images if self.images else 1.0


@dataclass(frozen=True, slots=True)
class CardRun:
    """A run as the card of its dataset needs it; ``score`` is None before its first model."""

    id: str
    version_id: str
    status: str
    progress: float
    created_at: datetime
    score: Score | None
    checkpoint_id: str | None


@dataclass(frozen=True, slots=True)
class CardVersion:
    """The newest version of a dataset."""

    id: str
    created_at: datetime


FACES = 9
RUNS_OF_A_CARD = 30
"""How many of its newest runs a card shows."""


class CardRepository:
    """What the first page shows of its datasets."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def faces(self, dataset_id: str) -> list[str]:
        """Addresses of up to nine pictures: by digest, so that they are mixed and stay the same."""
        query = (
            select(ImageRow.id, ImageRow.digest)
            .where(ImageRow.dataset_id == dataset_id, ~ImageRow.is_deleted)
            .order_by(ImageRow.digest)
            .limit(FACES)
        )
        return [thumbnail_url(image_id, digest=digest) for image_id, digest in self._session.execute(query)]

    def newest_versions(self, dataset_ids: Sequence[str]) -> dict[str, CardVersion]:
        """The newest version of each dataset that has one."""
        query = (
            select(VersionRow.dataset_id, VersionRow.id, VersionRow.created_at)
            .where(VersionRow.dataset_id.in_(dataset_ids))
            .order_by(VersionRow.number)
        )
        return {dataset_id: CardVersion(found, made_at) for dataset_id, found, made_at in self._session.execute(query)}

    def runs(self, dataset_ids: Sequence[str]) -> dict[str, list[CardRun]]:
        """The newest runs of each dataset, the newest first."""
        query = (
            select(VersionRow.dataset_id, RunRow, JobRow.state)
            .join(VersionRow, VersionRow.id == RunRow.version_id)
            .join(JobRow, JobRow.id == RunRow.job_id)
            .where(VersionRow.dataset_id.in_(dataset_ids))
            .order_by(RunRow.id.desc())
        )
        found: dict[str, list[tuple[RunRow, str]]] = {}
        for dataset_id, run, state in self._session.execute(query):
            of_dataset = found.setdefault(dataset_id, [])
            if len(of_dataset) < RUNS_OF_A_CARD:
                of_dataset.append((run, state))
        models = self._best_models([run.id for runs in found.values() for run, _ in runs])
        return {
            dataset_id: [_card_run(run, state, models.get(run.id)) for run, state in runs]
            for dataset_id, runs in found.items()
        }

    def _best_models(self, run_ids: Sequence[str]) -> dict[str, tuple[Score, str]]:
        """For each run its best score on validation pictures and the checkpoint that reached it."""
        query = (
            select(CheckpointRow.run_id, CheckpointRow.id, CheckpointRow.metrics)
            .where(CheckpointRow.run_id.in_(run_ids))
            .order_by(CheckpointRow.stage)
        )
        best: dict[str, tuple[Score, str]] = {}
        for run_id, checkpoint_id, metrics in self._session.execute(query):
            score = Score(metrics["valid"]["errors"], metrics["valid"]["images"])
            if run_id not in best or score.error_rate < best[run_id][0].error_rate:
                best[run_id] = (score, checkpoint_id)
        return best


def _card_run(run: RunRow, state: str, model: tuple[Score, str] | None) -> CardRun:
    score, checkpoint_id = model or (None, None)
    status = status_of(JobState(state))
    return CardRun(run.id, run.version_id, status, run.progress, run.created_at, score, checkpoint_id)
