"""What other features may ask about the examination of a dataset's pictures."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.tables.datasets import VersionRow
from backend.tables.examination import ExaminationRow


def has_features_of(session: Session, version_id: str) -> bool:
    """Whether the features of every picture that the version's dataset had so far are on disk."""
    query = (
        select(ExaminationRow.features)
        .join(VersionRow, VersionRow.dataset_id == ExaminationRow.dataset_id)
        .where(VersionRow.id == version_id, ExaminationRow.images_done >= ExaminationRow.images_total)
    )
    return session.scalar(query) is not None
