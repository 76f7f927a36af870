"""All SQL over how far the examination of a dataset's pictures is."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.datasets.examine.embeddings import embeddings_folder, maps_folder
from backend.db.session import Database
from backend.domain.ids import Digest
from backend.ledger.job import JobState
from backend.tables.datasets import DatasetRow, ImageRow
from backend.tables.examination import ExaminationRow
from backend.tables.ledger import JobRow

_FILES: Final = "*.safetensors"


@dataclass(frozen=True, slots=True)
class Examination:
    """How far the examination of a dataset is.

    Attributes:
        features: name of the group of stored features; None before the first.
    """

    job_id: str
    state: JobState
    images_done: int
    images_total: int
    features: str | None

    @property
    def is_over(self) -> bool:
        """Whether no job goes on with it, as far as pictures were known to it."""
        return self.state.is_final

    @property
    def share(self) -> float | None:
        """How far it is, in 0 to 1; None before it is known how much there is to do."""
        # Pictures may have been deleted since they were counted.
        return min(1.0, self.images_done / self.images_total) if self.images_total else None


def remove_unneeded(database: Database, features: Path) -> int:
    """Remove embeddings and maps of datasets that aren't there any more from the folder of features; how many files."""
    files = [file for folder in (embeddings_folder(features), maps_folder(features)) for file in folder.glob(_FILES)]
    with database.read() as session:
        known = set(session.scalars(select(DatasetRow.id).where(DatasetRow.id.in_([file.stem for file in files]))))
    unneeded = [file for file in files if file.stem not in known]
    for file in unneeded:
        file.unlink(missing_ok=True)
    return len(unneeded)


class ExaminationRepository:
    """Examinations, one a dataset."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, dataset_id: str) -> Examination | None:
        """A dataset's examination; None where none was ever asked for."""
        query = select(ExaminationRow, JobRow.state).join(JobRow, JobRow.id == ExaminationRow.job_id)
        found = self._session.execute(query.where(ExaminationRow.dataset_id == dataset_id)).one_or_none()
        if found is None:
            return None
        row = found.ExaminationRow
        return Examination(row.job_id, JobState(found.state), row.images_done, row.images_total, row.features)

    def images(self, dataset_id: str) -> list[tuple[str, Digest, str]]:
        """Id, digest and path of every picture of a dataset, in the order in which they came."""
        query = select(ImageRow.id, ImageRow.digest, ImageRow.path)
        query = query.where(ImageRow.dataset_id == dataset_id, ~ImageRow.is_deleted).order_by(ImageRow.id)
        return [(row.id, Digest(row.digest), row.path) for row in self._session.execute(query)]

    def newest_image(self, dataset_id: str) -> str | None:
        """The id of the picture that came last."""
        query = select(func.max(ImageRow.id)).where(ImageRow.dataset_id == dataset_id, ~ImageRow.is_deleted)
        return self._session.scalar(query)

    def show(self, dataset_id: str, done: int, total: int, features: str | None) -> None:
        """Write down how far it is."""
        row = self._session.get_one(ExaminationRow, dataset_id)
        row.images_done, row.images_total = done, total
        if features is not None:
            row.features = features
        self._session.flush()
