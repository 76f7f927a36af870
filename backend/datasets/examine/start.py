"""Ask for a look at a dataset's new pictures; whoever adds pictures does."""

from backend.datasets.examine.repository import ExaminationRepository
from backend.ledger.job import JobKind
from backend.ledger.unit_of_work import UnitOfWork


def want_examination(unit: UnitOfWork, dataset_id: str) -> None:
    """Queue a job that looks at the pictures which nobody has looked at yet, unless one will do so anyway.

    To be called in a transaction after the one that recorded the pictures: a job that is under way looks for new
    pictures before it ends, and ends only when this transaction is over.
    """
    repository = ExaminationRepository(unit.session)
    found = repository.locked(dataset_id)
    if found is None:
        repository.add(dataset_id, unit.enqueue(JobKind.EXAMINE, dataset_id))
        return
    row, state = found
    if state.is_final:
        row.job_id = unit.enqueue(JobKind.EXAMINE, dataset_id)
    else:
        unit.notify_for(JobKind.EXAMINE)
