"""What killed processes left behind is removed, and nothing else."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from backend.datasets.examine.embeddings import Embeddings, write_embeddings
from backend.datasets.map.positions import write_neighbours
from backend.datasets.repository import DatasetRepository
from backend.db.session import Database
from backend.domain.ids import new_id
from backend.storage.local import LocalStorage
from backend.training import record as progress
from backend.training.forecast.eta import Standing
from tests.backend.training.scene import Scene, stage_finished, stored_checkpoint
from worker.housekeeping import Cleared, clear_leftovers


def age(storage: LocalStorage, kind: str, name: str, hours: float) -> None:
    """As if nothing had been put there for so long."""
    then = time.time() - 3600 * hours
    os.utime(storage.folder(kind, name), (then, then))


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


def test_states_of_a_run_that_continues_are_kept(scene: Scene, storage: LocalStorage) -> None:
    run_id = scene.run()
    storage.folder("states", run_id)
    age(storage, "states", run_id, 5)

    assert clear_leftovers(scene.database, storage, storage.root / "logs", storage.root / "features") == Cleared(
        states=0, checkpoints=0, incoming=0
    )
    assert (storage.root / "states" / run_id).is_dir()


def test_states_of_an_ended_run_go_after_an_hour(scene: Scene, storage: LocalStorage) -> None:
    run_id = scene.run()
    scene.finish(scene.claim())
    storage.folder("states", run_id)

    young = clear_leftovers(scene.database, storage, storage.root / "logs", storage.root / "features")
    age(storage, "states", run_id, 2)
    old = clear_leftovers(scene.database, storage, storage.root / "logs", storage.root / "features")

    assert (young.states, old.states) == (0, 1)
    assert not (storage.root / "states" / run_id).exists()


def test_a_checkpoint_without_a_row_goes_after_a_day_and_one_with_a_row_stays(
    scene: Scene, storage: LocalStorage
) -> None:
    run_id = scene.run()
    claim = scene.claim()
    stored = stored_checkpoint()
    with scene.database.write() as session:
        progress.record_checkpoint(session, claim, stage_finished(0), stored, Standing())
    orphan = new_id()
    for name in (stored.folder, orphan):
        storage.folder("checkpoints", name)
        age(storage, "checkpoints", name, 30)

    assert clear_leftovers(scene.database, storage, storage.root / "logs", storage.root / "features").checkpoints == 1
    assert (storage.root / "checkpoints" / stored.folder).is_dir()
    assert not (storage.root / "checkpoints" / orphan).exists()
    assert scene.view(run_id).checkpoints[0].id == stored.id


def test_broken_uploads_go_after_a_day(scene: Scene, storage: LocalStorage) -> None:
    partial = storage.root / "incoming" / "tmp123"
    partial.write_bytes(b"half")
    old = time.time() - 2 * 86_400
    os.utime(partial, (old, old))

    assert clear_leftovers(scene.database, storage, storage.root / "logs", storage.root / "features").incoming == 1
    assert not partial.exists()


def test_embeddings_and_maps_go_with_their_dataset(scene: Scene, tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "storage")
    with scene.database.write() as session:
        kept = DatasetRepository(session).add("Leaves").id
    features = tmp_path / "features"
    for dataset_id in (kept, "0" * 32):
        write_embeddings(features, dataset_id, Embeddings((), np.empty((0, 1), np.float32)))
        write_neighbours(features, dataset_id, "key", np.zeros((0, 2), np.float32))

    assert clear_leftovers(scene.database, storage, storage.root / "logs", features).embeddings == 2
    assert [file.stem for file in (features / "embeddings").iterdir()] == [kept]
    assert [file.stem for file in (features / "maps").iterdir()] == [kept]
