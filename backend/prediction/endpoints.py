"""Ask a trained model, by REST. Answered here and at once, never by the queue."""

from typing import Annotated

from fastapi import APIRouter, File, UploadFile

from backend.dependencies import ServicesDep
from backend.domain.ids import CheckpointId
from backend.imaging.pool import decoding_pool
from backend.prediction.dependencies import ModelsDep, contents
from backend.prediction.find import source_of
from backend.prediction.schemas import AnswersRead
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
