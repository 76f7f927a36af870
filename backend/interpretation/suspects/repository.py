"""All SQL over what the search for wrong labels reads."""

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.domain.ids import CheckpointId, Digest
from backend.domain.manifest import Split
from backend.tables.datasets import ImagePathRow, ImageRow, VersionImageRow
from backend.tables.examination import ImagePairRow
from backend.tables.interpretation import PredictionRow


class VersionImage(NamedTuple):
    """A picture as a version has it."""

    id: str
    digest: Digest
    path: str
    label: str
    split: Split


class Answer(NamedTuple):
    """What a model predicted, how sure it was, and how wrong."""

    predicted: str
    confidence: float
    loss: float


class SuspectRepository:
    """Pictures of versions, and what was predicted of them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def stamp(self, dataset_id: str) -> tuple[str, ...]:
        """Changes with the names of a dataset's pictures and with the copies that were found among them."""
        names = select(func.count(), func.max(ImagePathRow.id)).where(ImagePathRow.dataset_id == dataset_id)
        pairs = select(func.count(), func.max(ImagePairRow.id)).where(ImagePairRow.dataset_id == dataset_id)
        return tuple(str(value) for query in (names, pairs) for value in self._session.execute(query).one())

    def images(self, version_id: str) -> list[VersionImage]:
        """Pictures that a version learns from or is judged by, by id; those that are deleted are left out."""
        query = (
            select(ImageRow.id, ImageRow.digest, ImageRow.path, VersionImageRow.label, VersionImageRow.split)
            .join(ImageRow, ImageRow.id == VersionImageRow.image_id)
            .where(VersionImageRow.version_id == version_id, VersionImageRow.split.in_([Split.TRAIN, Split.VALID]))
            .where(~ImageRow.is_deleted)
            .order_by(ImageRow.id)
        )
        return [
            VersionImage(id, Digest(digest), path, label, Split(split))
            for id, digest, path, label, split in self._session.execute(query)
        ]

    def answers(self, checkpoint_id: CheckpointId) -> dict[str, Answer]:
        """What a checkpoint answered on the validation pictures, by their ids."""
        query = select(
            PredictionRow.image_id, PredictionRow.predicted, PredictionRow.probability_predicted, PredictionRow.loss
        ).where(PredictionRow.checkpoint_id == checkpoint_id, PredictionRow.split == Split.VALID)
        return {
            image_id: Answer(predicted, confidence, loss)
            for image_id, predicted, confidence, loss in self._session.execute(query)
        }
