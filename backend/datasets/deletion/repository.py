"""All SQL of deleting: datasets batch by batch, and single pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from backend.domain.ids import Digest
from backend.ledger.job import JobState
from backend.tables.datasets import (
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
from backend.tables.training import CheckpointRow, LearningRateFindRow, RunRow

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

    def begin(self) -> None:
        """Hide the dataset."""
        self._session.execute(update(DatasetRow).where(DatasetRow.id == self._dataset_id).values(is_being_deleted=True))

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
        # Epochs, events, states, checkpoints, predictions and its own searches go with their run.
        self._session.execute(delete(RunRow).where(RunRow.id == run.id))
        self._session.execute(delete(JobRow).where(JobRow.id == run.job_id))
        return folders

    def delete_images(self, count: int) -> list[Digest] | None:
        """So many images: their bytes, to be deleted after the commit. None where no image is left."""
        query = select(ImageRow.id, ImageRow.digest).where(ImageRow.dataset_id == self._dataset_id).limit(count)
        images = self._session.execute(query).all()
        if not images:
            return None
        _delete_images(self._session, [image.id for image in images], with_versions=True)
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
        jobs += self._session.scalars(
            select(ExaminationRow.job_id).where(ExaminationRow.dataset_id == self._dataset_id)
        )
        jobs += self._session.scalars(select(LearningRateFindRow.job_id).where(finds))
        self._session.execute(delete(LearningRateFindRow).where(finds))
        for table in (ImportRow, TableFileRow, VersionRow, ExaminationRow):
            self._session.execute(delete(table).where(table.dataset_id == self._dataset_id))
        self._session.execute(delete(DatasetRow).where(DatasetRow.id == self._dataset_id))
        self._session.execute(delete(JobRow).where(JobRow.id.in_(jobs)))
        return blobs


def interrupted_deletions(session: Session) -> list[str]:
    """Ids of datasets of which some rows are deleted and some are left."""
    return list(session.scalars(select(DatasetRow.id).where(DatasetRow.is_being_deleted)))


@dataclass(frozen=True, slots=True)
class DeletedImages:
    """``deleted`` images left their dataset; ``kept`` of them stay in versions, ``digests`` are those of the others."""

    deleted: int
    kept: int
    digests: list[Digest]


def delete_images(session: Session, dataset: DatasetRow, ids: Sequence[str]) -> DeletedImages:
    """Delete images from a dataset, which must be locked; those that a version has are only hidden."""
    query = select(ImageRow).where(ImageRow.dataset_id == dataset.id, ImageRow.id.in_(ids), ~ImageRow.is_deleted)
    found = list(session.scalars(query))
    in_versions = set(
        session.scalars(
            select(VersionImageRow.image_id).where(VersionImageRow.image_id.in_([row.id for row in found])).distinct()
        )
    )
    dataset.images -= len(found)
    dataset.bytes -= sum(row.bytes for row in found)
    for row in found:
        if row.id in in_versions:
            row.is_deleted = True
    session.flush()
    session.execute(delete(ImagePathRow).where(ImagePathRow.image_id.in_(in_versions)))
    unused = [row for row in found if row.id not in in_versions]
    digests = [Digest(row.digest) for row in unused]
    _delete_images(session, [row.id for row in unused], with_versions=False)
    return DeletedImages(len(found), len(in_versions), digests)


def _delete_images(session: Session, ids: list[str], *, with_versions: bool) -> None:
    if with_versions:
        session.execute(delete(VersionImageRow).where(VersionImageRow.image_id.in_(ids)))
    session.execute(delete(ImagePathRow).where(ImagePathRow.image_id.in_(ids)))
    session.execute(delete(ImageRow).where(ImageRow.id.in_(ids)))
