"""All SQL over what is known of single pictures: labels by version, and what models said of them.

Reads the tables of runs and never writes them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.domain.json import Json
from backend.domain.results import rank_of
from backend.tables.datasets import VersionImageRow, VersionRow
from backend.tables.interpretation import PredictionRow
from backend.tables.training import CheckpointRow, RunRow

_RUNS = 100
"""The newest runs that are looked at; older ones are found from their own pages."""

_VERSIONS = 100


@dataclass(frozen=True, slots=True)
class TestedRun:
    """A run with results: ``checkpoint_id`` is that of its best stage, as its own pages show it."""

    id: str
    name: str
    version_id: str
    version: int
    checkpoint_id: str


@dataclass(frozen=True, slots=True)
class RunAnswer:
    """What a run's best model said of one picture; ``probability_actual`` is that of the label it had."""

    run: TestedRun
    split: str
    actual: str
    predicted: str
    probability: float
    probability_actual: float
    loss: float

    @property
    def is_right(self) -> bool:
        """Whether it said what the label says."""
        return self.actual == self.predicted


@dataclass(frozen=True, slots=True)
class VersionLabel:
    """Label and set of a picture in one version."""

    version_id: str
    version: int
    label: str
    split: str


class PictureDetails:
    """What versions and runs of a dataset say of one picture."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def runs(self, dataset_id: str) -> list[TestedRun]:
        """The newest runs that have a model, the newest first."""
        rows = self._session.execute(
            select(RunRow.id, RunRow.name, VersionRow.id.label("version_id"), VersionRow.number)
            .join(VersionRow, VersionRow.id == RunRow.version_id)
            .where(VersionRow.dataset_id == dataset_id)
            .order_by(RunRow.id.desc())
            .limit(_RUNS)
        ).all()
        best = self._best_checkpoints([row.id for row in rows])
        return [TestedRun(row.id, row.name, row.version_id, row.number, best[row.id]) for row in rows if row.id in best]

    def run(self, dataset_id: str, run_id: str) -> TestedRun | None:
        """One run of a dataset; None where there is none, or where it has no model yet."""
        row = self._session.execute(
            select(RunRow.id, RunRow.name, VersionRow.id.label("version_id"), VersionRow.number)
            .join(VersionRow, VersionRow.id == RunRow.version_id)
            .where(VersionRow.dataset_id == dataset_id, RunRow.id == run_id)
        ).one_or_none()
        best = self._best_checkpoints([run_id])
        if row is None or not best:
            return None
        return TestedRun(row.id, row.name, row.version_id, row.number, best[run_id])

    def of_image(self, dataset_id: str, image_id: str) -> list[RunAnswer]:
        """What the newest runs said of a picture, the newest first; runs that learnt from it were not asked."""
        runs = {run.checkpoint_id: run for run in self.runs(dataset_id)}
        rows = self._session.scalars(
            select(PredictionRow).where(PredictionRow.image_id == image_id, PredictionRow.checkpoint_id.in_(list(runs)))
        )
        found = [
            RunAnswer(
                runs[row.checkpoint_id],
                row.split,
                row.actual,
                row.predicted,
                row.probability_predicted,
                row.probability_actual,
                row.loss,
            )
            for row in rows
        ]
        return sorted(found, key=lambda answer: answer.run.id, reverse=True)

    def labels(self, image_id: str) -> list[VersionLabel]:
        """Label and set in each version that has the picture, the newest version first."""
        rows = self._session.execute(
            select(VersionRow.id, VersionRow.number, VersionImageRow.label, VersionImageRow.split)
            .join(VersionRow, VersionRow.id == VersionImageRow.version_id)
            .where(VersionImageRow.image_id == image_id)
            .order_by(VersionRow.number.desc())
            .limit(_VERSIONS)
        )
        return [VersionLabel(*row) for row in rows]

    def _best_checkpoints(self, run_ids: Sequence[str]) -> dict[str, str]:
        rows = self._session.execute(
            select(CheckpointRow.run_id, CheckpointRow.id, CheckpointRow.metrics)
            .where(CheckpointRow.run_id.in_(run_ids))
            .order_by(CheckpointRow.stage)
        )
        by_run: dict[str, list[tuple[str, Json]]] = {}
        for run_id, checkpoint_id, metrics in rows:
            by_run.setdefault(run_id, []).append((checkpoint_id, metrics["valid"]))
        return {run_id: _best(stages) for run_id, stages in by_run.items()}


def _best(stages: Iterable[tuple[str, Json]]) -> str:
    return min(stages, key=lambda stage: rank_of(stage[1]))[0]
