"""All SQL over searches for a learning rate."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from backend.tables.datasets import DatasetRow, VersionRow
from backend.tables.ledger import JobRow
from backend.tables.training import LearningRateFindRow


@dataclass(frozen=True, slots=True)
class FindRecord:
    """A search with the job whose state is its own, and where it comes from."""

    find: LearningRateFindRow
    job: JobRow
    dataset_id: str
    dataset_name: str
    version_number: int


class LearningRateFinds:
    """Searches for a learning rate."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, find_id: str) -> LearningRateFindRow | None:
        """A search."""
        return self._session.get(LearningRateFindRow, find_id)

    def record(self, find_id: str) -> FindRecord | None:
        """A search with its job and origin."""
        found = self._session.execute(_records().where(LearningRateFindRow.id == find_id)).one_or_none()
        return None if found is None else FindRecord(*found)

    def records(
        self, *, limit: int, after: str | None = None, version_id: str | None = None, run_id: str | None = None
    ) -> list[FindRecord]:
        """Searches, the newest first; of one version or beside one run where that is named."""
        query = _records().order_by(LearningRateFindRow.id.desc()).limit(limit)
        if after is not None:
            query = query.where(LearningRateFindRow.id < after)
        if version_id is not None:
            query = query.where(LearningRateFindRow.version_id == version_id)
        if run_id is not None:
            query = query.where(LearningRateFindRow.run_id == run_id)
        return [FindRecord(*row) for row in self._session.execute(query)]

    def add(self, row: LearningRateFindRow) -> None:
        """A new search."""
        self._session.add(row)
        self._session.flush()

    def show(self, find_id: str, **values: Any) -> None:  # Any: column values
        """Write what is displayed of a search, or its result."""
        self._session.execute(
            update(LearningRateFindRow).where(LearningRateFindRow.id == find_id).values(**values),
            execution_options={"synchronize_session": False},
        )


def _records() -> Select[LearningRateFindRow, JobRow, str, str, int]:
    return (
        select(LearningRateFindRow, JobRow, DatasetRow.id, DatasetRow.name, VersionRow.number)
        .join(JobRow, JobRow.id == LearningRateFindRow.job_id)
        .join(VersionRow, VersionRow.id == LearningRateFindRow.version_id)
        .join(DatasetRow, DatasetRow.id == VersionRow.dataset_id)
        .where(~DatasetRow.is_being_deleted)
    )
