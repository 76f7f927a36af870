from pathlib import Path

from backend.db.session import Database
from backend.settings import Settings
from backend.storage.local import LocalStorage
from backend.training import record as progress
from backend.training.find import find_run
from backend.training.forecast.eta import Standing
from tests.backend.training.scene import Scene, epoch_finished, state_saved
from worker.engine.order import NeverStop
from worker.jobs.train_job import make_order


def test_an_attempt_is_given_the_states_and_best_weights_of_the_one_before(
    database: Database, storage: LocalStorage, tmp_path: Path
) -> None:
    scene = Scene(database)
    scene.run()
    claim = scene.claim()
    with database.write() as session:
        progress.record_epoch(session, claim, epoch_finished(0, 0), state_saved(0, 0), Standing())
    states = storage.folder("states", claim.subject_id)
    former = states / "attempt-0"
    former.mkdir(parents=True)
    for name in ("state-0-0.safetensors", "best-0-0-abc.safetensors", "pixels-abc.cache"):
        (former / name).write_bytes(name.encode())
    with database.read() as session:
        run = find_run(session, claim.subject_id)

    order = make_order(database, storage, Settings(data=tmp_path), claim, run, NeverStop())

    assert sorted(file.name for file in order.state_folder.iterdir()) == [
        "best-0-0-abc.safetensors",
        "state-0-0.safetensors",
    ]
    assert [point.file for point in order.resume_from] == ["state-0-0.safetensors"]
    assert [folder.name for folder in states.iterdir()] == ["attempt-1"]
