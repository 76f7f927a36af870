"""Find the files, classes and settings of a checkpoint's model."""

from sqlalchemy.orm import Session

from backend.imaging.preprocessing import Preprocessing
from backend.prediction.measures import measure_of
from backend.prediction.models import ModelSource
from backend.storage.base import Storage
from backend.training.confidence.chosen import chosen_of
from backend.training.find import checkpoint_folder, find_checkpoint


def source_of(session: Session, storage: Storage, checkpoint_id: str) -> ModelSource:
    """The model of a checkpoint.

    Raises:
        CheckpointNotFound: no such checkpoint.
    """
    row = find_checkpoint(session, checkpoint_id)
    chosen = chosen_of(session, row.id)
    return ModelSource(
        checkpoint_id=row.id,
        sha256=row.sha256,
        folder=checkpoint_folder(storage, row),
        classes=tuple(row.classes),
        preprocessing=Preprocessing.from_json(row.preprocessing),
        confidence=chosen.settings,
        measure=measure_of(session, row.id, chosen),
    )
