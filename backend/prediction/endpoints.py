"""Ask a trained model, by REST. Answered here and at once, never by the queue."""

from typing import Annotated

from fastapi import APIRouter, File, UploadFile

from backend.dependencies import ServicesDep
from backend.domain.ids import CheckpointId
from backend.imaging.pool import decoding_pool
from backend.prediction.covering import answers_when_covered
from backend.prediction.dependencies import ModelsDep, contents
from backend.prediction.find import source_of
from backend.prediction.run_picture import run_picture
from backend.prediction.schemas import AnswersRead, CoveredRead, CoversIn
from backend.prediction.service import MAX_FILES, TooManyFiles, predict

router = APIRouter(prefix="/api/v1", tags=["models"])


@router.post("/checkpoints/{checkpoint_id}/predictions")
def create_predictions(
    checkpoint_id: str, files: Annotated[list[UploadFile], File()], services: ServicesDep, cache: ModelsDep
) -> AnswersRead:
    """What the model says of up to 64 pictures; a file that can't be read is answered with its reason."""
    if len(files) > MAX_FILES:
        raise TooManyFiles(len(files))
    # A short look-up of its own: no transaction stays open while the model thinks.
    with services.database.read() as session:
        source = source_of(session, services.storage, CheckpointId(checkpoint_id))
    return AnswersRead.of(predict(cache, decoding_pool(), source, contents(files)))


@router.post("/runs/{run_id}/images/{image_id}/covered")
def answer_covered(
    run_id: str, image_id: str, body: CoversIn, services: ServicesDep, cache: ModelsDep, checkpoint: str | None = None
) -> CoveredRead:
    """What the model answers when parts of a test picture are covered, beside its answer for the picture as it is.

    Of the run's best finished stage, or of `checkpoint`. Covered parts get the mean colour of the model's
    normalisation. Nothing is stored.
    """
    with services.database.read() as session:
        tested = run_picture(session, services.storage, run_id, image_id, checkpoint)
    covers = [cover.cover for cover in body.covers]
    return CoveredRead.of(answers_when_covered(cache, decoding_pool(), services.storage, tested, covers))
