"""A run that was tested on pictures whose files are there, with the colour model as its checkpoint."""

from dataclasses import dataclass

from PIL import Image

from backend.db.session import Database
from backend.domain.ids import CheckpointId, RunId
from backend.imaging.preprocessing import Preprocessing
from backend.interpretation.record import record_predictions
from backend.storage.local import LocalStorage
from backend.tables.datasets import ImageRow
from backend.tables.training import CheckpointRow
from tests.backend.interpretation.conftest import CLASSES, add_checkpoint, add_run, evaluation_of
from tests.backend.prediction.conftest import SIZE, write_colour_model
from tests.fixtures.pictures import encode

# As in the colour model, which answers with cat for blue, with dog for green and with owl for red.
WIDTH, HEIGHT = 32, 16


@dataclass(frozen=True, slots=True)
class RunScene:
    """``image_id`` is of the first picture: its left half is red, its right half blue; a cat, predicted cat."""

    run_id: RunId
    checkpoint_id: CheckpointId
    image_id: str
    images: tuple[str, ...]

    @property
    def address(self) -> str:
        """Of the picture in the API."""
        return f"/api/v1/runs/{self.run_id}/images/{self.image_id}"


def half_and_half() -> bytes:
    """What the network sees of it, the square in the middle, is half red, half blue too."""
    picture = Image.new("RGB", (WIDTH, HEIGHT), (255, 0, 0))
    picture.paste((0, 0, 255), (WIDTH // 2, 0, WIDTH, HEIGHT))
    return encode(picture)


def add_scene(database: Database, storage: LocalStorage) -> RunScene:
    """Put all of it there."""
    digest = storage.put_bytes(half_and_half())
    with database.write() as session:
        run_id, images = add_run(session)
        checkpoint_id = add_checkpoint(session, run_id)
        checkpoint = session.get_one(CheckpointRow, checkpoint_id)
        checkpoint.folder = checkpoint_id
        checkpoint.preprocessing = Preprocessing(SIZE, SIZE, (0.5,) * 3, (0.5,) * 3).to_json()
        picture = session.get_one(ImageRow, images[0])
        picture.digest, picture.width, picture.height = digest, WIDTH, HEIGHT
        record_predictions(session, checkpoint_id, evaluation_of(images))
    assert CLASSES == ("cat", "dog", "owl")
    write_colour_model(storage.folder("checkpoints", checkpoint_id))
    return RunScene(run_id, checkpoint_id, images[0], images)
