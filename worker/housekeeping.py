"""Removes what is no longer needed: states of ended runs, checkpoints without a row, unfinished uploads, old logs,
what was in the bin for seven days.

Everything removed is too old to be still written, and is looked up in the database first.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from backend.datasets.blobs import forget_archives
from backend.datasets.deletion.bin import delete_expired
from backend.datasets.deletion.remove import finish_deletions
from backend.datasets.examine.repository import remove_unneeded
from backend.db.session import Database
from backend.ledger.unit_of_work import NoNotifier, UnitOfWork, unit_of_work
from backend.storage.local import LocalStorage
from backend.training.leftovers import unneeded_folders
from backend.uploads.recovery import clear_uploads
from worker.logfile import remove_old_logs

log = structlog.get_logger()

_HOUR_S: Final = 3600.0
_DAY_S: Final = 24 * _HOUR_S


@dataclass(frozen=True, slots=True)
class Cleared:
    """How many folders and files were removed."""

    states: int
    checkpoints: int
    incoming: int
    logs: int = 0
    archives: int = 0
    binned: int = 0
    datasets: int = 0
    uploads: int = 0
    embeddings: int = 0


def clear_leftovers(database: Database, storage: LocalStorage, logs: Path, features: Path) -> Cleared:
    """Remove what is no longer needed. Safe to repeat, and for several workers at once."""
    states = storage.old_folders("states", _HOUR_S)
    checkpoints = storage.old_folders("checkpoints", _DAY_S)
    # The others hold those that were made on demand, of any model.
    heatmaps = [name for name in storage.old_folders("heatmaps", _DAY_S) if len(name) > 2]
    with database.read() as session:
        unneeded = unneeded_folders(session, states=states, checkpoints=checkpoints)
        unneeded_heatmaps = unneeded_folders(session, states=(), checkpoints=heatmaps).checkpoints
    for name in unneeded.states:
        storage.delete_folder("states", name)
    for name in unneeded.checkpoints:
        storage.delete_folder("checkpoints", name)
    for name in unneeded_heatmaps:
        storage.delete_folder("heatmaps", name)

    def open_unit() -> AbstractContextManager[UnitOfWork]:
        return unit_of_work(database, NoNotifier())

    cleared = Cleared(
        len(unneeded.states),
        len(unneeded.checkpoints),
        storage.clear_incoming(_DAY_S),
        remove_old_logs(logs),
        forget_archives(open_unit, storage),
        delete_expired(open_unit, storage),
        finish_deletions(open_unit, storage),
        clear_uploads(open_unit, storage, storage.old_folders("uploads", _DAY_S)),
        remove_unneeded(database, features),
    )
    if cleared != Cleared(0, 0, 0):
        log.info(
            "leftovers_removed",
            states=cleared.states,
            checkpoints=cleared.checkpoints,
            incoming=cleared.incoming,
            logs=cleared.logs,
            archives=cleared.archives,
            binned=cleared.binned,
            datasets=cleared.datasets,
            uploads=cleared.uploads,
            embeddings=cleared.embeddings,
        )
    return cleared
