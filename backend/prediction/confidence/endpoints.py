"""How sure a model is, and what follows from it, by REST."""

from fastapi import APIRouter

from backend.dependencies import ServicesDep
from backend.imaging.pool import decoding_pool
from backend.prediction.confidence.schemas import ConfidenceIn, ConfidenceRead
from backend.prediction.confidence.service import Choice, cancel_measuring, choose, confidence_of, start_measuring
from backend.prediction.dependencies import ModelsDep

router = APIRouter(prefix="/api/v1", tags=["models"])


@router.get("/checkpoints/{checkpoint_id}/confidence")
def read_confidence(checkpoint_id: str, services: ServicesDep) -> ConfidenceRead:
    """Calibration curve and ECE, one temperature, what the model answers at each threshold, and none of these.

    All measured on the checkpoint's test pictures.
    """
    return _read(services, checkpoint_id)


@router.put("/checkpoints/{checkpoint_id}/confidence")
def choose_confidence(
    checkpoint_id: str, body: ConfidenceIn, services: ServicesDep, cache: ModelsDep
) -> ConfidenceRead:
    """Choose temperature, thresholds and the limit of strangeness: predictions and exported files follow them at once.

    Before, an exported file with them is compared with the answers given here, on up to 16 test pictures (`parity`).
    """
    choose(services, cache, decoding_pool(), checkpoint_id, body.choice)
    return _read(services, checkpoint_id)


@router.delete("/checkpoints/{checkpoint_id}/confidence")
def reset_confidence(checkpoint_id: str, services: ServicesDep, cache: ModelsDep) -> ConfidenceRead:
    """Back to answers without any of these settings; what was measured is kept."""
    choose(services, cache, decoding_pool(), checkpoint_id, Choice())
    return _read(services, checkpoint_id)


@router.post("/checkpoints/{checkpoint_id}/confidence/none-of-these", status_code=202)
def measure_strangeness(checkpoint_id: str, services: ServicesDep) -> ConfidenceRead:
    """Learn in the background what the model's own pictures look like to it; `none_of_these` shows the progress.

    A worker does it. It makes way for trainings, and survives restarts of server and worker: then it is begun again.
    """
    start_measuring(services.open_unit(), checkpoint_id)
    return _read(services, checkpoint_id)


@router.delete("/checkpoints/{checkpoint_id}/confidence/none-of-these", status_code=202)
def cancel_strangeness(checkpoint_id: str, services: ServicesDep) -> ConfidenceRead:
    """Cancel the measurement that is under way."""
    cancel_measuring(services.open_unit(), checkpoint_id)
    return _read(services, checkpoint_id)


def _read(services: ServicesDep, checkpoint_id: str) -> ConfidenceRead:
    with services.database.read() as session:
        return ConfidenceRead.of(confidence_of(session, services, checkpoint_id))
