"""All SQL over what models answered of the pictures on a map."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.tables.interpretation import PredictionRow


class MapRepository:
    """Answers by picture. Reads the tables of runs and never writes them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def answers(self, checkpoint_id: str) -> Sequence[tuple[str, str, str]]:
        """(image id, label, predicted class) of every picture that a checkpoint was tested on."""
        query = select(PredictionRow.image_id, PredictionRow.actual, PredictionRow.predicted)
        rows = self._session.execute(query.where(PredictionRow.checkpoint_id == checkpoint_id))
        return [(image_id, actual, predicted) for image_id, actual, predicted in rows]
