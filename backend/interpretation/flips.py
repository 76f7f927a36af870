"""What changed from one checkpoint to another, image by image."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from backend.domain.ids import CheckpointId, ImageId
from backend.domain.manifest import Split
from backend.domain.trends import Flips
from backend.interpretation.answers import AnsweredImage, AnsweredTwice, Filter
from backend.interpretation.repository import PredictionRepository


def flips_between(session: Session, before: CheckpointId, after: CheckpointId) -> Flips | None:
    """The answers of two checkpoints to the validation images that both were tried on; None where there are none."""
    counts = {(was, now): count for was, now, count in PredictionRepository(session).flips(before, after, Split.VALID)}
    return Flips.of_pairs(counts) if any(counts.values()) else None


def answered_by_both(session: Session, before: CheckpointId, after: CheckpointId) -> list[AnsweredTwice]:
    """The validation images that both checkpoints were tried on, by id."""
    return PredictionRepository(session).twice(before, after, Split.VALID)


def count_tried(session: Session, checkpoint_id: CheckpointId) -> int:
    """How many validation images a checkpoint was tried on."""
    return PredictionRepository(session).count(checkpoint_id, Split.VALID, Filter())


def answers_to(
    session: Session, checkpoint_id: CheckpointId, image_ids: Sequence[ImageId]
) -> dict[ImageId, AnsweredImage]:
    """What a checkpoint answered on some images, by their ids."""
    return PredictionRepository(session).chosen(checkpoint_id, image_ids)
