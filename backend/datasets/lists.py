"""Lists of datasets, for the home page and the API."""

from sqlalchemy.orm import Session

from backend.datasets.repository import DatasetRepository
from backend.datasets.repository import DatasetSummary as DatasetSummary


def list_datasets(session: Session, *, limit: int, after: str | None = None) -> list[DatasetSummary]:
    """Datasets with their counts, the newest first, from the one after the id ``after``."""
    return DatasetRepository(session).summaries(limit=limit, after=after)
