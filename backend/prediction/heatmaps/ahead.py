"""Make the heat maps of a model's worst test pictures ahead, so that they are there when somebody points at one."""

from collections.abc import Callable
from typing import Final

import structlog

from backend.db.session import Database
from backend.domain.errors import AppError
from backend.domain.ids import CheckpointId, RunId
from backend.imaging.pool import DecodingPool
from backend.interpretation.answers import Filter
from backend.interpretation.find import results_of
from backend.interpretation.service import images
from backend.prediction.find import source_of
from backend.prediction.heatmaps.service import make_ahead
from backend.prediction.models import ModelCache, ModelMissing
from backend.prediction.run_picture import RunPicture
from backend.storage.base import Storage
from backend.training.find import find_checkpoint
from backend.training.model_files import ModelDamaged

MOST: Final = 200

log = structlog.get_logger()


def make_worst_ahead(
    database: Database,
    storage: Storage,
    cache: ModelCache,
    decoders: DecodingPool,
    checkpoint_id: str,
    on_progress: Callable[[int, int], None],
    *,
    most: int = MOST,
) -> int:
    """Make those of the ``most`` test pictures with the highest loss that aren't there yet; how many were made.

    ``on_progress`` is called with the number of pictures done and of all; what it raises ends the work, and what was
    made stays. A picture that can't be read is left out, and a model that has no heat maps has none.

    Raises:
        CheckpointNotFound, NoResultsYet, ModelMissing, ModelDamaged
    """
    with database.read() as session:
        row = find_checkpoint(session, checkpoint_id)
        results = results_of(session, RunId(row.run_id), CheckpointId(checkpoint_id))
        worst, _ = images(session, results, Filter(), limit=most)
        source = source_of(session, storage, checkpoint_id)
    if not cache.model(source).has_feature_map:
        return 0
    made = 0
    for done, image in enumerate(worst):
        on_progress(done, len(worst))
        try:
            made += make_ahead(cache, decoders, storage, RunPicture(image, source))
        except (ModelMissing, ModelDamaged):
            raise
        except AppError as refusal:
            log.warning("heat_map_left_out", image_id=image.image_id, code=refusal.code)
    on_progress(len(worst), len(worst))
    return made
