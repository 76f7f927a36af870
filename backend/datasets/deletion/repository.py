"""All SQL of deleting datasets, batch by batch."""

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import Session

from backend.datasets.deletion.bin_repository import BinKind
from backend.domain.ids import Digest
from backend.ledger.job import JobState
from backend.tables.datasets import (
    BinnedPathRow,
    BinRow,
    DatasetRow,
    ImagePathRow,
    ImageRow,
    ImportRow,
    RejectionRow,
    TableFileRow,
    VersionImageRow,
    VersionRow,
)
from backend.tables.examination import ExaminationRow
from backend.tables.ledger import JobRow
from backend.tables.training import CheckpointJobRow, CheckpointRow, LearningRateFindRow, RunRow

_FINAL = tuple(state for state in JobState if state.is_final)


class DatasetDeletion:
    """Deletes the rows of one dataset, each call a small part of them, in the caller's transaction."""

    def __init__(self, session: Session, dataset_id: str) -> None:
        self._session, self._dataset_id = session, dataset_id
        self._versions = select(VersionRow.id).where(VersionRow.dataset_id == dataset_id).scalar_subquery()

    def open_trainings(self) -> list[str]:
        """Names of trainings, and of searches for a learning rate, that haven't ended."""
        trainings = select(RunRow.name).join(JobRow, JobRow.id == RunRow.job_id)
        finds = select(LearningRateFindRow.id).join(JobRow, JobRow.id == LearningRateFindRow.job_id)
        is_open = JobRow.state.not_in(_FINAL)
        names = list(
            self._session.scalars(trainings.where(RunRow.version_id.in_(self._versions), is_open).order_by(RunRow.id))
        )
        searches = self._session.scalars(finds.where(LearningRateFindRow.version_id.in_(self._versions), is_open)).all()
        return names + ["learning-rate finder"] * bool(searches)

    def open_imports(self) -> list[str]:
        """Ids of imports that haven't ended."""
        query = select(ImportRow.id).join(JobRow, JobRow.id == ImportRow.job_id).order_by(ImportRow.id)
        return list(
            self._session.scalars(query.where(ImportRow.dataset_id == self._dataset_id, JobRow.state.not_in(_FINAL)))
        )

    def examination(self) -> str | None:
        """The job that looks, or has looked, at the pictures."""
        query = select(ExaminationRow.job_id).where(ExaminationRow.dataset_id == self._dataset_id)
        return self._session.scalar(query)

    def model_bytes(self) -> int:
        """What the models of its trainings take on the disk."""
        query = select(func.coalesce(func.sum(CheckpointRow.bytes), 0)).join(RunRow, RunRow.id == CheckpointRow.run_id)
        return int(self._session.execute(query.where(RunRow.version_id.in_(self._versions))).scalar_one())

    def hide(self) -> None:
        """Nobody sees the dataset any more."""
        self._set_hidden(True)

    def show(self) -> None:
        """Undo ``hide``."""
        self._set_hidden(False)

    def _set_hidden(self, is_hidden: bool) -> None:
        query = update(DatasetRow).where(DatasetRow.id == self._dataset_id)
        self._session.execute(query.values(is_being_deleted=is_hidden))

    def delete_training(self) -> list[str] | None:
        """One training with all that hangs on it: its folders of checkpoints, to be deleted after the commit.

        None where no training is left.
        """
        run = self._session.execute(
            select(RunRow.id, RunRow.job_id).where(RunRow.version_id.in_(self._versions)).limit(1)
        ).one_or_none()
        if run is None:
            return None
        folders = list(self._session.scalars(select(CheckpointRow.folder).where(CheckpointRow.run_id == run.id)))
        of_checkpoints = select(CheckpointJobRow.job_id).join(CheckpointRow)
        jobs = [run.job_id, *self._session.scalars(of_checkpoints.where(CheckpointRow.run_id == run.id))]
        # Epochs, events, states, checkpoints, predictions and its own searches go with their run.
        self._session.execute(delete(RunRow).where(RunRow.id == run.id))
        self._session.execute(delete(JobRow).where(JobRow.id.in_(jobs)))
        return folders

    def delete_images(self, count: int) -> list[Digest] | None:
        """So many images: their bytes, to be deleted after the commit. None where no image is left."""
        query = select(ImageRow.id, ImageRow.digest).where(ImageRow.dataset_id == self._dataset_id).limit(count)
        images = self._session.execute(query).all()
        if not images:
            return None
        mine = [image.id for image in images]
        for row in (VersionImageRow, ImagePathRow, BinnedPathRow):
            self._session.execute(delete(row).where(row.image_id.in_(mine)))
        self._session.execute(delete(ImageRow).where(ImageRow.id.in_(mine)))
        return [Digest(image.digest) for image in images]

    def delete_rejections(self, count: int) -> int:
        """So many notes on files that were left out; how many there were."""
        ids = select(RejectionRow.id).where(RejectionRow.dataset_id == self._dataset_id).limit(count)
        found = list(self._session.scalars(ids))
        self._session.execute(delete(RejectionRow).where(RejectionRow.id.in_(found)))
        return len(found)

    def finish(self) -> list[Digest]:
        """What is left, which is little: bytes of tables and archives, to be deleted after the commit."""
        tables = self._session.scalars(select(TableFileRow.digest).where(TableFileRow.dataset_id == self._dataset_id))
        blobs = [Digest(digest) for digest in tables]
        imports = self._session.execute(
            select(ImportRow.job_id, ImportRow.source).where(ImportRow.dataset_id == self._dataset_id)
        ).all()
        blobs += [Digest(row.source["digest"]) for row in imports if "digest" in row.source]
        finds = LearningRateFindRow.version_id.in_(self._versions)
        jobs = [row.job_id for row in imports]
        if (job_id := self.examination()) is not None:
            jobs.append(job_id)
        jobs += self._session.scalars(select(LearningRateFindRow.job_id).where(finds))
        self._session.execute(delete(LearningRateFindRow).where(finds))
        for table in (ImportRow, TableFileRow, VersionRow, ExaminationRow):
            self._session.execute(delete(table).where(table.dataset_id == self._dataset_id))
        self._session.execute(delete(DatasetRow).where(DatasetRow.id == self._dataset_id))
        self._session.execute(delete(JobRow).where(JobRow.id.in_(jobs)))
        return blobs


def interrupted_deletions(session: Session) -> list[str]:
    """Ids of datasets of which some rows are deleted and some are left: hidden, and not in the bin (any more)."""
    in_bin = exists().where(BinRow.dataset_id == DatasetRow.id, BinRow.kind == BinKind.DATASET)
    return list(session.scalars(select(DatasetRow.id).where(DatasetRow.is_being_deleted, ~in_bin)))
