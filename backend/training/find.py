"""Runs and checkpoints by their ids, or the answer that there is no such thing."""

from pathlib import Path

from sqlalchemy.orm import Session

from backend.domain.ids import CheckpointId, RunId
from backend.domain.runs import CheckpointNotFound, RunNotFound
from backend.storage.base import Storage
from backend.tables.training import CheckpointRow, RunRow
from backend.training.repository import RunRepository


def find_run(session: Session, run_id: str) -> RunRow:
    """A run's row.

    Raises:
        RunNotFound
    """
    found = RunRepository(session).find(RunId(run_id))
    if found is None:
        raise RunNotFound(run_id)
    return found


def find_checkpoint(session: Session, checkpoint_id: str) -> CheckpointRow:
    """A checkpoint's row.

    Raises:
        CheckpointNotFound
    """
    found = RunRepository(session).find_checkpoint(CheckpointId(checkpoint_id))
    if found is None:
        raise CheckpointNotFound(checkpoint_id)
    return found


def checkpoint_folder(storage: Storage, checkpoint: CheckpointRow) -> Path:
    """Where a checkpoint's files lie: ``weights.safetensors``, ``model.onnx``, ``checkpoint.json``, ``parity.json``."""
    return storage.folder("checkpoints", checkpoint.folder)


def folder_to_start_from(session: Session, storage: Storage, checkpoint_id: str | None) -> Path | None:
    """Where the checkpoint lies that a training or search begins with; None where that is the pretrained weights.

    Raises:
        CheckpointNotFound
    """
    return None if checkpoint_id is None else checkpoint_folder(storage, find_checkpoint(session, checkpoint_id))
