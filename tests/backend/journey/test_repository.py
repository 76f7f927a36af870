"""How far a dataset has come, read from the tables."""

from sqlalchemy import select

from backend.db.session import Database
from backend.domain.ids import DatasetId, VersionId, new_id
from backend.journey.repository import ProgressRepository
from backend.tables.datasets import VersionRow
from backend.training import record
from backend.training.forecast.eta import Standing
from tests.backend.training.scene import Scene, stage_finished, stored_checkpoint


def freeze_again(database: Database, version_id: VersionId) -> VersionId:
    """The next version of the same dataset."""
    with database.write() as session:
        before = session.get_one(VersionRow, version_id)
        row = VersionRow(
            id=new_id(),
            dataset_id=before.dataset_id,
            number=before.number + 1,
            classes=before.classes,
            counts=before.counts,
            rule=before.rule,
            split=before.split,
            overrides=[],
        )
        session.add(row)
        session.flush()
        return VersionId(row.id)


def test_results_keep_the_version_that_they_are_of(database: Database) -> None:
    scene = Scene(database)
    first = scene.version()
    run_id = scene.run(first)
    claim = scene.claim()
    with database.write() as session:
        record.record_checkpoint(session, claim, stage_finished(0), stored_checkpoint(), Standing())
    scene.finish(claim)
    second = freeze_again(database, first)

    with database.read() as session:
        dataset_id = session.scalars(select(VersionRow.dataset_id)).first()
        progress = ProgressRepository(session).of(DatasetId(dataset_id or ""))

    assert (progress.version_id, progress.version) == (second, 2)
    assert progress.run is None
    assert progress.trained is not None
    assert (progress.trained.id, progress.trained.version) == (run_id, 1)
    assert progress.model is not None
    assert progress.model.version == 1


def test_a_training_on_an_earlier_version_still_runs(database: Database) -> None:
    scene = Scene(database)
    first = scene.version()
    run_id = scene.run(first)
    freeze_again(database, first)

    with database.read() as session:
        dataset_id = session.scalars(select(VersionRow.dataset_id)).first()
        progress = ProgressRepository(session).of(DatasetId(dataset_id or ""))

    assert progress.active_run is not None
    assert (progress.active_run.id, progress.active_run.status) == (run_id, "queued")
    assert progress.run is None
