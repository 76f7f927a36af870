"""What changed from one checkpoint to another, image by image."""

from sqlalchemy.orm import Session

from backend.domain.ids import CheckpointId
from backend.domain.manifest import Split
from backend.domain.trends import Flips
from backend.interpretation.repository import PredictionRepository


def flips_between(session: Session, before: CheckpointId, after: CheckpointId) -> Flips | None:
    """The answers of two checkpoints to the validation images that both were tried on; None where there are none."""
    counts = {(was, now): count for was, now, count in PredictionRepository(session).flips(before, after, Split.VALID)}
    images = sum(counts.values())
    if not images:
        return None
    mended, spoiled, still_wrong = (counts.get(pair, 0) for pair in ((False, True), (True, False), (False, False)))
    return Flips(images, still_wrong + mended, still_wrong + spoiled, mended, spoiled)
