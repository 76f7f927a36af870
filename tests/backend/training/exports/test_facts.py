import pytest

from backend.db.session import Database
from backend.domain.ids import RunId
from backend.storage.local import LocalStorage
from backend.training import record as progress
from backend.training.exports.facts import run_facts
from backend.training.forecast.eta import Standing
from backend.training.repository import RunRepository
from tests.backend.training.scene import Scene, epoch_finished, stage_finished, stored_checkpoint


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


def test_a_stage_knows_from_which_epoch_on_it_was_to_have_how_many(scene: Scene, storage: LocalStorage) -> None:
    run_id = RunId(scene.run())
    claim = scene.claim()
    stored = stored_checkpoint()
    changed = [("epochs-changed", {"stage": 0, "epochs": 3, "planned": 4})]
    with scene.database.write() as session:
        for epoch in range(2):
            progress.record_epoch(session, claim, epoch_finished(0, epoch), None, Standing())
        RunRepository(session).add_events(run_id, changed)
        progress.record_epoch(session, claim, epoch_finished(0, 2), None, Standing())
        progress.record_checkpoint(session, claim, stage_finished(0), stored, Standing())

    with scene.database.read() as session:
        facts = run_facts(session, storage, stored.id)

    (stage,) = facts.stages
    assert (len(stage.epochs), stage.stage.epochs, stage.changes) == (3, 4, ((2, 3),))
    assert facts.name == "Shapes, run 1, stage 1"
    assert facts.sample is None


def test_later_stages_are_not_part_of_an_earlier_model(scene: Scene, storage: LocalStorage) -> None:
    scene.run()
    claim = scene.claim()
    first = stored_checkpoint()
    with scene.database.write() as session:
        progress.record_epoch(session, claim, epoch_finished(0, 0), None, Standing())
        progress.record_checkpoint(session, claim, stage_finished(0), first, Standing())
        progress.record_epoch(session, claim, epoch_finished(1, 0), None, Standing())

    with scene.database.read() as session:
        facts = run_facts(session, storage, first.id)

    assert [stage.number for stage in facts.stages] == [0]
