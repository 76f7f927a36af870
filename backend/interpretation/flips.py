"""What changed from one checkpoint to another, image by image."""

from sqlalchemy.orm import Session

from backend.domain.ids import CheckpointId
from backend.domain.manifest import Split
from backend.domain.trends import Flips
from backend.interpretation.repository import PredictionRepository


def flips_between(session: Session, before: CheckpointId, after: CheckpointId) -> Flips | None:
    """The answers of two checkpoints to the validation images that both were tried on; None where there are none."""
    counts = {(was, now): count for was, now, count in PredictionRepository(session).flips(before, after, Split.VALID)}
    return Flips.of_pairs(counts) if any(counts.values()) else None
