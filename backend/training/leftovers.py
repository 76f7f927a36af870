"""Which folders of trainings nobody needs any more."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from backend.training.repository import RunRepository


@dataclass(frozen=True, slots=True)
class UnneededFolders:
    """Names of folders below ``states`` and ``checkpoints`` that may be removed."""

    states: set[str]
    checkpoints: set[str]


def unneeded_folders(session: Session, *, states: Iterable[str], checkpoints: Iterable[str]) -> UnneededFolders:
    """Those of jobs that have ended, and those of checkpoints that have no row."""
    runs = RunRepository(session)
    return UnneededFolders(runs.ended(states), runs.folders_of_nobody(checkpoints))
