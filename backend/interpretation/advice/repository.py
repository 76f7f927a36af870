"""All SQL over what advice is made of."""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.domain.confidence.settings import ConfidenceSettings
from backend.domain.ids import CheckpointId
from backend.domain.manifest import Split
from backend.tables.datasets import ImageRow
from backend.tables.interpretation import PredictionRow
from backend.tables.training import ConfidenceRow


class TestedImage(NamedTuple):
    """A validation picture, what it is, what was predicted, and the shorter side in pixels."""

    id: str
    actual: str
    predicted: str
    side: int

    @property
    def is_wrong(self) -> bool:
        """Whether the prediction is another class than the label."""
        return self.actual != self.predicted


class AdviceRepository:
    """Answers with the sizes of their pictures."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def tested(self, checkpoint_id: CheckpointId) -> list[TestedImage]:
        """The validation pictures of a checkpoint, by id."""
        query = (
            select(ImageRow.id, PredictionRow.actual, PredictionRow.predicted, ImageRow.width, ImageRow.height)
            .join(ImageRow, ImageRow.id == PredictionRow.image_id)
            .where(PredictionRow.checkpoint_id == checkpoint_id, PredictionRow.split == Split.VALID)
            .order_by(ImageRow.id)
        )
        rows = self._session.execute(query)
        return [TestedImage(id, actual, predicted, min(width, height)) for id, actual, predicted, width, height in rows]

    def refuses_unknown(self, checkpoint_id: CheckpointId) -> bool:
        """Whether somebody chose that the model gives no class to pictures unlike all training pictures."""
        kept = self._session.scalar(select(ConfidenceRow.settings).where(ConfidenceRow.checkpoint_id == checkpoint_id))
        return kept is not None and ConfidenceSettings.from_json(kept).strangeness_limit is not None
