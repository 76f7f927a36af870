"""All SQL over predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, case, delete, func, insert, or_, select
from sqlalchemy.orm import Session, aliased

from backend.domain.ids import CheckpointId, DatasetId, Digest, ImageId, RunId, VersionId
from backend.domain.manifest import Split
from backend.domain.results import rank_of
from backend.interpretation.answers import AnsweredImage, AnsweredTwice, Filter, ListPosition
from backend.ledger.job import JobState
from backend.tables.datasets import DatasetRow, ImageRow, VersionRow
from backend.tables.interpretation import PredictionRow
from backend.tables.ledger import JobRow
from backend.tables.training import CheckpointRow, RunRow

_BATCH = 500


@dataclass(frozen=True, slots=True)
class FinishedStage:
    """A stage that left a checkpoint; ``classes``: K names, in the order of the outputs; ``rank``: of ``rank_of``."""

    checkpoint_id: CheckpointId
    stage: int
    epoch: int
    classes: tuple[str, ...]
    error_rate: float
    rank: tuple[bool, float, float]


@dataclass(frozen=True, slots=True)
class RunHead:
    """What stands above a run's results: its name and what it was trained on."""

    run_id: RunId
    name: str
    dataset_id: DatasetId
    dataset_name: str
    version: int
    version_id: VersionId


@dataclass(frozen=True, slots=True)
class OtherRun:
    """A run as others refer to it; ``retrain_of`` is the run that it repeats with corrected labels."""

    run_id: RunId
    name: str
    version_id: VersionId
    retrain_of: RunId | None
    state: JobState

    @property
    def has_succeeded(self) -> bool:
        """Whether it has ended well."""
        return self.state is JobState.SUCCEEDED

    @property
    def has_ended(self) -> bool:
        """Whether nothing can follow."""
        return self.state.is_final


class StageRepository:
    """Which stages of a run have results; reads the run's own tables and never writes them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def head(self, run_id: RunId) -> RunHead | None:
        """A run's name and origin; None where there is no such run."""
        query = (
            select(RunRow.name, DatasetRow.id, DatasetRow.name, VersionRow.number, VersionRow.id)
            .join(VersionRow, VersionRow.id == RunRow.version_id)
            .join(DatasetRow, DatasetRow.id == VersionRow.dataset_id)
            .where(RunRow.id == run_id, ~DatasetRow.is_being_deleted)
        )
        found = self._session.execute(query).one_or_none()
        if found is None:
            return None
        name, dataset_id, dataset_name, number, version_id = found
        return RunHead(run_id, name, DatasetId(dataset_id), dataset_name, number, VersionId(version_id))

    def run(self, run_id: RunId) -> OtherRun | None:
        """A run, with its state."""
        found = self._session.execute(_runs().where(RunRow.id == run_id)).one_or_none()
        return None if found is None else _other_run(found)

    def retrained(self, run_id: RunId) -> OtherRun | None:
        """The newest run that repeats one with corrected labels; not one that was cancelled or has failed."""
        query = _runs().where(RunRow.retrain_of == run_id, JobRow.state.not_in([JobState.FAILED, JobState.CANCELLED]))
        found = self._session.execute(query.order_by(RunRow.id.desc()).limit(1)).one_or_none()
        return None if found is None else _other_run(found)

    def stages(self, run_id: RunId) -> list[FinishedStage]:
        """Finished stages, first to last."""
        query = (
            select(
                CheckpointRow.id, CheckpointRow.stage, CheckpointRow.epoch, CheckpointRow.classes, CheckpointRow.metrics
            )
            .where(CheckpointRow.run_id == run_id)
            .order_by(CheckpointRow.stage)
        )
        return [
            FinishedStage(
                CheckpointId(checkpoint_id),
                stage,
                epoch,
                tuple(classes),
                metrics["valid"]["error_rate"],
                rank_of(metrics["valid"]),
            )
            for checkpoint_id, stage, epoch, classes, metrics in self._session.execute(query)
        ]


def _runs() -> Select[*tuple[Any, ...]]:  # Any: the five columns below
    columns = RunRow.id, RunRow.name, RunRow.version_id, RunRow.retrain_of, JobRow.state
    return select(*columns).join(JobRow, JobRow.id == RunRow.job_id)


def _other_run(row: Any) -> OtherRun:  # Any: a row of ``_runs``
    run_id, name, version_id, retrain_of, state = row
    return OtherRun(RunId(run_id), name, VersionId(version_id), retrain_of, JobState(state))


class PredictionRepository:
    """Predictions of checkpoints, by image."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def forget(self, checkpoint_id: CheckpointId, split: Split) -> None:
        """Drop what was kept of a checkpoint on one split."""
        self._session.execute(
            delete(PredictionRow).where(PredictionRow.checkpoint_id == checkpoint_id, PredictionRow.split == split)
        )

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:  # Any: column values
        """Keep rows, a few hundred a statement."""
        for start in range(0, len(rows), _BATCH):
            self._session.execute(insert(PredictionRow), list(rows[start : start + _BATCH]))

    def cells(self, checkpoint_id: CheckpointId, split: Split) -> list[tuple[str, str, int]]:
        """(actual, predicted, count) of every pair that occurs."""
        query = (
            select(PredictionRow.actual, PredictionRow.predicted, func.count())
            .where(*_of(checkpoint_id, split))
            .group_by(PredictionRow.actual, PredictionRow.predicted)
        )
        return [(actual, predicted, count) for actual, predicted, count in self._session.execute(query)]

    def mean_loss(self, checkpoint_id: CheckpointId, split: Split) -> float | None:
        """Mean loss in nats; None where nothing was kept."""
        query = select(func.avg(PredictionRow.loss)).where(*_of(checkpoint_id, split))
        found = self._session.execute(query).scalar_one()
        return None if found is None else float(found)

    def flips(self, before: CheckpointId, after: CheckpointId, split: Split) -> list[tuple[bool, bool, int]]:
        """(was right before, is right after, count) over the images that both checkpoints were tried on."""
        old, new = aliased(PredictionRow), aliased(PredictionRow)
        was_right, is_right = (case((row.actual == row.predicted, 1), else_=0) for row in (old, new))
        query = (
            select(was_right, is_right, func.count())
            .join(new, new.image_id == old.image_id)
            .where(old.checkpoint_id == before, old.split == split, new.checkpoint_id == after, new.split == split)
            .group_by(was_right, is_right)
        )
        return [(bool(was), bool(is_now), count) for was, is_now, count in self._session.execute(query)]

    def twice(self, first: CheckpointId, second: CheckpointId, split: Split) -> list[AnsweredTwice]:
        """Labels and answers of the images that both checkpoints were tried on, by image id."""
        old, new = aliased(PredictionRow), aliased(PredictionRow)
        query = (
            select(old.image_id, old.actual, new.actual, old.predicted, new.predicted)
            .join(new, new.image_id == old.image_id)
            .where(old.checkpoint_id == first, old.split == split, new.checkpoint_id == second, new.split == split)
            .order_by(old.image_id)
        )
        return [
            AnsweredTwice(ImageId(image_id), (label_before, label_after), (before, after))
            for image_id, label_before, label_after, before, after in self._session.execute(query)
        ]

    def chosen(self, checkpoint_id: CheckpointId, image_ids: Sequence[ImageId]) -> dict[ImageId, AnsweredImage]:
        """What a checkpoint answered on some images."""
        query = _answers().where(PredictionRow.checkpoint_id == checkpoint_id, PredictionRow.image_id.in_(image_ids))
        return {answer.image_id: answer for answer in map(_answered, self._session.execute(query))}

    def certainty(self, checkpoint_id: CheckpointId, split: Split, edges: Sequence[float]) -> list[tuple[int, int]]:
        """(right, wrong) images whose largest probability lies between each two neighbours of ``edges``."""
        columns = []
        right = PredictionRow.actual == PredictionRow.predicted
        for low, high in zip(edges, edges[1:], strict=False):
            inside = and_(PredictionRow.probability_predicted >= low, PredictionRow.probability_predicted < high)
            columns.append(func.sum(case((and_(inside, right), 1), else_=0)))
            columns.append(func.sum(case((and_(inside, ~right), 1), else_=0)))
        sums = [
            int(value or 0) for value in self._session.execute(select(*columns).where(*_of(checkpoint_id, split))).one()
        ]
        return list(zip(sums[::2], sums[1::2], strict=True))

    def images(
        self,
        checkpoint_id: CheckpointId,
        split: Split,
        chosen: Filter,
        *,
        limit: int,
        after: ListPosition | None = None,
    ) -> list[AnsweredImage]:
        """Images and answers, largest loss first."""
        query = _answers().where(*_of(checkpoint_id, split), *_conditions(chosen))
        if after is not None:
            query = query.where(
                or_(
                    PredictionRow.loss < after.loss,
                    and_(PredictionRow.loss == after.loss, PredictionRow.image_id > after.image_id),
                )
            )
        query = query.order_by(PredictionRow.loss.desc(), PredictionRow.image_id).limit(limit)
        return [_answered(row) for row in self._session.execute(query)]

    def samples(self, checkpoint_id: CheckpointId, split: Split, limit: int) -> list[AnsweredImage]:
        """A mixed handful, always the same one: the order of digests is as good as chance."""
        query = _answers().where(*_of(checkpoint_id, split)).order_by(ImageRow.digest).limit(limit)
        return [_answered(row) for row in self._session.execute(query)]

    def image(self, checkpoint_id: CheckpointId, image_id: ImageId) -> AnsweredImage | None:
        """What the model said of one image when it was tested."""
        query = _answers().where(PredictionRow.checkpoint_id == checkpoint_id, PredictionRow.image_id == image_id)
        found = self._session.execute(query).one_or_none()
        return None if found is None else _answered(found)

    def count(self, checkpoint_id: CheckpointId, split: Split, chosen: Filter) -> int:
        """How many images ``images`` would list in all."""
        query = select(func.count()).select_from(PredictionRow).where(*_of(checkpoint_id, split), *_conditions(chosen))
        return self._session.execute(query).scalar_one()

    def faces(
        self, checkpoint_id: CheckpointId, split: Split, pairs: Sequence[tuple[str, str]] | None, each: int
    ) -> dict[tuple[str, str], list[AnsweredImage]]:
        """Up to ``each`` images of every (actual, predicted) pair, largest loss first; None: of all that are confused.

        Some hundred pairs are the most that a statement can name.
        """
        if pairs is not None and not pairs:
            return {}
        place = func.row_number().over(
            partition_by=(PredictionRow.actual, PredictionRow.predicted),
            order_by=(PredictionRow.loss.desc(), PredictionRow.image_id),
        )
        wanted = PredictionRow.actual != PredictionRow.predicted
        if pairs is not None:
            wanted = or_(*(and_(PredictionRow.actual == one, PredictionRow.predicted == other) for one, other in pairs))
        ranked = (
            select(PredictionRow.image_id, place.label("place")).where(*_of(checkpoint_id, split), wanted).subquery()
        )
        query = (
            _answers()
            .join(ranked, ranked.c.image_id == PredictionRow.image_id)
            .where(*_of(checkpoint_id, split), ranked.c.place <= each)
            .order_by(ranked.c.place)
        )
        found: dict[tuple[str, str], list[AnsweredImage]] = {}
        for row in self._session.execute(query):
            answer = _answered(row)
            found.setdefault((answer.actual, answer.predicted), []).append(answer)
        return found


def _of(checkpoint_id: CheckpointId, split: Split) -> tuple[Any, ...]:  # Any: SQLAlchemy's column expressions
    return PredictionRow.checkpoint_id == checkpoint_id, PredictionRow.split == split


def _conditions(chosen: Filter) -> list[Any]:  # Any: as above
    found: list[Any] = []
    if chosen.actual is not None:
        found.append(PredictionRow.actual == chosen.actual)
    if chosen.predicted is not None:
        found.append(PredictionRow.predicted == chosen.predicted)
    if chosen.wrong:
        found.append(PredictionRow.actual != PredictionRow.predicted)
    if chosen.sure_from is not None:
        found.append(PredictionRow.probability_predicted >= chosen.sure_from)
    if chosen.sure_below is not None:
        found.append(PredictionRow.probability_predicted < chosen.sure_below)
    return found


def _answers() -> Select[*tuple[Any, ...]]:  # Any: the ten columns below
    return select(
        PredictionRow.image_id,
        ImageRow.digest,
        ImageRow.path,
        ImageRow.width,
        ImageRow.height,
        PredictionRow.actual,
        PredictionRow.predicted,
        PredictionRow.loss,
        PredictionRow.probability_actual,
        PredictionRow.probability_predicted,
    ).join(ImageRow, ImageRow.id == PredictionRow.image_id)


def _answered(row: Any) -> AnsweredImage:  # Any: a row of ``_answers``
    image_id, digest, *rest = row
    return AnsweredImage(ImageId(image_id), Digest(digest), *rest)
