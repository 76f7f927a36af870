"""Undo actions on labels and bring them back, in any order: what counts is always the last change that isn't undone."""

from backend.datasets.labels.ledger.errors import BatchNotFound, NothingToRedo, NothingToUndo
from backend.datasets.labels.repository import LabelLedger
from backend.datasets.repository import DatasetRepository
from backend.db.session import Database
from backend.tables.labels import LabelBatchRow


def undo(database: Database, dataset_id: str, who: str, batch_id: str | None = None) -> LabelBatchRow:
    """Undo one action, by default the newest that counts.

    Raises:
        DatasetNotFound, BatchNotFound
        NothingToUndo: there is none, or this one is undone already.
    """
    with database.write() as session:
        DatasetRepository(session).lock(dataset_id)
        ledger = LabelLedger(session)
        batch = ledger.batch(dataset_id, batch_id) if batch_id else ledger.to_undo(dataset_id)
        if batch is None and batch_id:
            raise BatchNotFound
        if batch is None or batch.undone_order is not None:
            raise NothingToUndo
        ledger.undo(batch, who)
        return batch


def redo(database: Database, dataset_id: str, batch_id: str | None = None) -> LabelBatchRow:
    """Bring an undone action back, by default the one that was undone last, unless something was changed since.

    Raises:
        DatasetNotFound, BatchNotFound
        NothingToRedo: there is none, or this one counts already.
    """
    with database.write() as session:
        DatasetRepository(session).lock(dataset_id)
        ledger = LabelLedger(session)
        batch = ledger.batch(dataset_id, batch_id) if batch_id else ledger.to_redo(dataset_id)
        if batch is None and batch_id:
            raise BatchNotFound
        if batch is None or batch.undone_order is None:
            raise NothingToRedo
        ledger.redo(batch)
        return batch
