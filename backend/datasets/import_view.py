"""An import as the API shows it."""

from typing import Final

from backend.datasets.repository import DatasetRepository
from backend.datasets.schemas import ImportRead

_REJECTIONS_SHOWN: Final = 1000


def read_import(repository: DatasetRepository, import_id: str) -> ImportRead:
    """An import as the API shows it. Raises ImportNotFound."""
    row, job = repository.get_import(import_id)
    rejections = repository.rejections(row.dataset_id, limit=_REJECTIONS_SHOWN, import_id=import_id)
    return ImportRead.of(row, job, rejections)
