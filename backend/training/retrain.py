"""Train again with corrected labels: all else as it was, so that only the labels can make a difference."""

from pathlib import Path

from backend.datasets.labels.unfrozen import freeze_changes
from backend.db.session import Database
from backend.domain.ids import CheckpointId, RunId, VersionId
from backend.domain.training import TrainingRequest
from backend.ledger.unit_of_work import OpenUnit
from backend.storage.base import Storage
from backend.training.find import find_run
from backend.training.repository import RunRepository
from backend.training.start import RunOrder, start


def retrain(
    database: Database,
    open_unit: OpenUnit,
    storage: Storage,
    weights_folder: Path,
    of: str,
    *,
    run_id: RunId | None = None,
    asked_by: str | None = None,
) -> RunId:
    """Freeze the labels as they stand, each picture on the side that it has in a run's version, and repeat that run.

    ``run_id`` is the id that a form has given the new run: a second press of its button starts no second one.

    Raises:
        RunNotFound
        LabelsUnchanged: nothing has changed since that run.
        InvalidInput: see ``freeze`` and ``start``.
    """
    with database.read() as session:
        if run_id is not None and RunRepository(session).find(run_id) is not None:
            return run_id
        run = find_run(session, of)
    version = freeze_changes(database, storage, run.version_id)
    order = RunOrder(
        VersionId(version.id),
        TrainingRequest.model_validate(run.config),
        starts_from=None if run.starts_from is None else CheckpointId(run.starts_from),
        run_id=run_id,
        asked_by=asked_by,
        retrain_of=RunId(run.id),
    )
    with open_unit() as unit:
        return RunId(start(unit, order, weights_folder).id)
