"""Datasets for other features, which don't use their repository."""

from sqlalchemy.orm import Session

from backend.datasets.repository import DatasetRepository
from backend.tables.datasets import DatasetRow


def find_dataset(session: Session, dataset_id: str) -> DatasetRow:
    """A dataset that isn't being deleted. Raises DatasetNotFound."""
    return DatasetRepository(session).get(dataset_id)
