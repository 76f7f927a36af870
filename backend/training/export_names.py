"""Names under which models are downloaded."""

import re
from typing import Final
from urllib.parse import quote

from sqlalchemy.orm import Session

from backend.tables.training import CheckpointRow
from backend.training.repository import RunRepository

_NOT_IN_NAMES: Final = re.compile(r"[^\w.-]+")
_LONGEST: Final = 60


def export_name(session: Session, checkpoint: CheckpointRow, suffix: str) -> str:
    """``pets-resnet34-stage-2-0a1b2c3d.onnx``: dataset, network, stage, and the end of the checkpoint's id."""
    record = RunRepository(session).record(checkpoint.run_id)
    dataset = _NOT_IN_NAMES.sub("-", record.dataset_name if record else "").strip("-.")[:_LONGEST]
    parts = [dataset, checkpoint.architecture, f"stage-{checkpoint.stage + 1}", checkpoint.id[-8:]]
    return "-".join(part for part in parts if part) + suffix


def attachment(name: str) -> str:
    """A ``Content-Disposition`` header for any name (RFC 6266)."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
