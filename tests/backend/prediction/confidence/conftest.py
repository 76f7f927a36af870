"""A tested run with real pictures on both sides, and answers that are too confident."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

from backend.db.session import Database
from backend.domain.ids import CheckpointId, RunId, new_id
from backend.domain.results import Evaluation
from backend.domain.training import TrainingRequest, resolve
from backend.imaging.preprocessing import Preprocessing
from backend.interpretation.record import record_predictions
from backend.storage.local import LocalStorage
from backend.tables.datasets import ImageRow, VersionImageRow
from backend.tables.training import CheckpointRow, RunRow
from tests.backend.interpretation.conftest import add_checkpoint, add_run, evaluation_of
from tests.backend.prediction.conftest import COLOURS, SIZE, write_colour_model
from tests.fixtures.pictures import encode
from tests.fixtures.strangeness import measure_what_waits
from worker.engine.checkpoints.checkpoint import write_predictions

CLASSES = COLOURS


@dataclass(frozen=True, slots=True)
class Scene:
    """Addresses of a checkpoint; ``wrong`` of its 200 answers, of 0.9526 confidence each, are wrong."""

    run_id: RunId
    checkpoint_id: CheckpointId
    wrong: int
    database: Database
    storage: LocalStorage

    def measure_what_waits(self) -> None:
        """What a worker does."""
        measure_what_waits(self.database, self.storage)

    @property
    def api(self) -> str:
        return f"/api/v1/checkpoints/{self.checkpoint_id}"

    @property
    def page(self) -> str:
        return f"/runs/{self.run_id}/understand/sure"


def picture(label: str, number: int) -> bytes:
    """Mostly of the colour that the label names, each a little different."""
    levels = [60 + 5 * number % 40, 40 + 7 * number % 50, 50 + 3 * number % 30]
    levels[{"red": 0, "green": 1, "blue": 2}[label]] = 220 + number % 30
    return encode(Image.new("RGB", (24, 24), tuple(levels)))


def overconfident(images: int, wrong: int) -> Evaluation:
    """Logits 3 apart, so that the first class always has 0.9094; the wrong answers are spread over the classes."""
    targets = np.arange(images) % 3
    said = targets.copy()
    said[:wrong] = (said[:wrong] + 1) % 3
    logits = 3 * np.eye(3)[said]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    ids = tuple(f"{place:032x}" for place in range(images))
    return Evaluation(CLASSES, ids, shares.astype(np.float32), targets.astype(np.int64))


def add_scene(database: Database, storage: LocalStorage, images: int = 200, wrong: int = 40) -> Scene:
    """Put all of it there: 12 training and 4 test pictures of each colour."""
    with database.write() as session:
        run_id, shown = add_run(session)
        checkpoint_id = add_checkpoint(session, run_id)
        checkpoint = session.get_one(CheckpointRow, checkpoint_id)
        checkpoint.folder, checkpoint.classes = checkpoint_id, list(CLASSES)
        checkpoint.preprocessing = Preprocessing(SIZE, SIZE, (0.5,) * 3, (0.5,) * 3).to_json()
        run = session.get_one(RunRow, run_id)
        dataset_id = session.get_one(ImageRow, shown[0]).dataset_id
        for place in range(48):
            label = CLASSES[place % 3]
            image_id = new_id()
            digest = storage.put_bytes(picture(label, place))
            session.add(
                ImageRow(
                    id=image_id,
                    dataset_id=dataset_id,
                    digest=digest,
                    path=f"{label}/{place}.png",
                    format="PNG",
                    width=24,
                    height=24,
                    bytes=1,
                )
            )
            session.flush()
            split = "train" if place < 36 else "valid"
            session.add(VersionImageRow(version_id=run.version_id, image_id=image_id, label=label, split=split))
        record_predictions(session, checkpoint_id, replace(evaluation_of(shown), classes=CLASSES))
        run.config = resolve(TrainingRequest()).model_dump(mode="json")
    folder = storage.folder("checkpoints", checkpoint_id)
    write_colour_model(folder)
    write_predictions(folder, "valid", overconfident(images, wrong))
    return Scene(run_id, checkpoint_id, wrong, database, storage)


@pytest.fixture
def scene(database: Database, storage: LocalStorage) -> Scene:
    """200 answers, 40 of them wrong."""
    return add_scene(database, storage)
