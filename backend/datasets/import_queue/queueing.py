"""An import becomes a row and a job, in one transaction."""

from typing import Any

from backend.datasets.repository import DatasetRepository
from backend.domain.ids import Digest, ImportId, new_id
from backend.ledger.job import JobKind
from backend.ledger.unit_of_work import UnitOfWork
from backend.tables.datasets import ImportRow


def queue_import(unit: UnitOfWork, dataset_id: str, source: dict[str, Any], entries_total: int = 0) -> ImportId:
    """Queue a job for an import of ``source`` (Any: JSON values). Raises DatasetNotFound."""
    repository = DatasetRepository(unit.session)
    repository.lock(dataset_id)
    import_id = ImportId(new_id())
    job_id = unit.enqueue(JobKind.IMPORT, import_id)
    repository.add_import(
        ImportRow(id=import_id, dataset_id=dataset_id, job_id=job_id, source=source, entries_total=entries_total)
    )
    return import_id


def queue_links(unit: UnitOfWork, dataset_id: str, label: str, digest: Digest, entries: int) -> ImportId:
    """Queue a job for a stored list of addresses. Raises DatasetNotFound."""
    source = {"kind": "links", "digest": digest, "entries": entries, "label": label}
    return queue_import(unit, dataset_id, source, entries_total=entries)
