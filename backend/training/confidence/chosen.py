"""What was chosen about a checkpoint's confidence, kept with it: answers and exported files follow it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from safetensors import SafetensorError
from safetensors.numpy import load, save
from sqlalchemy.orm import Session

from backend.db.session import WriteSession
from backend.domain.confidence.settings import ConfidenceSettings
from backend.domain.confidence.strangeness import Familiarity
from backend.domain.ids import CheckpointId
from backend.domain.json import Json
from backend.training.confidence.files import onnx_with, safetensors_with
from backend.training.confidence.repository import ConfidenceRepository
from backend.training.model_files import ModelFile


@dataclass(frozen=True, slots=True)
class Chosen:
    """Settings of a checkpoint.

    Attributes:
        parity: how exported files with these settings compare with the answers given here; None: nobody has looked.
        measured_at: when strangeness was last learnt; None: it can't be measured.
    """

    settings: ConfidenceSettings = ConfidenceSettings()
    parity: Mapping[str, Json] | None = None
    measured_at: datetime | None = None


def chosen_of(session: Session, checkpoint_id: str) -> Chosen:
    """What was chosen; of a checkpoint about which nobody has chosen anything, the usual."""
    kept = ConfidenceRepository(session).find(CheckpointId(checkpoint_id))
    if kept is None:
        return Chosen()
    return Chosen(ConfidenceSettings.from_json(kept.settings), kept.parity, kept.measured_at)


def familiarity_of_checkpoint(session: Session, checkpoint_id: str) -> Familiarity | None:
    """What strangeness is measured by; None where it wasn't learnt, or can't be read."""
    content = ConfidenceRepository(session).familiarity(CheckpointId(checkpoint_id))
    if content is None:
        return None
    try:
        return Familiarity.of_tensors(load(content))
    except (SafetensorError, KeyError):
        return None


def keep_settings(
    session: WriteSession, checkpoint_id: str, settings: ConfidenceSettings, parity: Mapping[str, Json] | None
) -> None:
    """Keep what was chosen in place of what was."""
    ConfidenceRepository(session).put_settings(CheckpointId(checkpoint_id), settings.to_json(), parity)


def keep_familiarity(session: WriteSession, checkpoint_id: str, found: Familiarity) -> None:
    """Keep what strangeness is measured by; a limit that was chosen by the earlier one is moved to the same share."""
    repository = ConfidenceRepository(session)
    repository.put_familiarity(CheckpointId(checkpoint_id), save(found.to_tensors()))
    settings = chosen_of(session, checkpoint_id).settings
    if settings.familiar_refused is not None:
        moved = settings.to_json() | {"strangeness_limit": found.limit(settings.familiar_refused)}
        repository.put_settings(CheckpointId(checkpoint_id), moved, None)


def with_settings(session: Session, checkpoint_id: str, file: ModelFile, content: bytes) -> bytes:
    """A model's file with what was chosen; as it is where nothing was."""
    chosen = chosen_of(session, checkpoint_id)
    if chosen.settings.is_empty:
        return content
    if file is ModelFile.WEIGHTS:
        return safetensors_with(content, chosen.settings, chosen.parity)
    has_limit = chosen.settings.strangeness_limit is not None
    familiarity = familiarity_of_checkpoint(session, checkpoint_id) if has_limit else None
    return onnx_with(content, chosen.settings, None if familiarity is None else familiarity.measure, chosen.parity)
