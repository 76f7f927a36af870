"""Ask a trained model by program."""

import html

import pytest
from PIL import Image
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.domain.ids import CheckpointId
from backend.domain.training import TrainingRequest, resolve
from backend.imaging.preprocessing import Preprocessing
from backend.interpretation.record import record_predictions
from backend.storage.local import LocalStorage
from backend.tables.training import CheckpointRow, RunRow
from tests.backend.interpretation.conftest import add_checkpoint, add_run, evaluation_of
from tests.backend.prediction.conftest import COLOURS, SIZE, write_colour_model
from tests.fixtures.pictures import encode
from tests.fixtures.sounds import tone, track

RED = encode(Image.new("RGB", (40, 30), (255, 0, 0)))


@pytest.fixture
def checkpoint(database: Database, storage: LocalStorage) -> CheckpointId:
    """The colour model as the checkpoint of a run."""
    with database.write() as session:
        checkpoint_id = add_checkpoint(session, add_run(session)[0])
        row = session.get_one(CheckpointRow, checkpoint_id)
        row.folder = checkpoint_id
        row.classes = list(COLOURS)
        preprocessing = Preprocessing(size=SIZE, resize_to=SIZE, mean=(0.5,) * 3, std=(0.5,) * 3)
        row.preprocessing = preprocessing.to_json()
    write_colour_model(storage.folder("checkpoints", checkpoint_id))
    return checkpoint_id


@pytest.fixture
def trainable(database: Database, checkpoint: CheckpointId) -> None:
    """The run's config, which its pages read."""
    with database.write() as session:
        run = session.get_one(RunRow, session.get_one(CheckpointRow, checkpoint).run_id)
        run.config = resolve(TrainingRequest()).model_dump(mode="json")


def test_it_answers_for_every_file_in_its_place(client: TestClient, checkpoint: CheckpointId) -> None:
    files = [("files", ("red.png", RED)), ("files", ("notes.jpg", b"hello"))]

    answer = client.post(f"/api/v1/checkpoints/{checkpoint}/predictions", files=files)

    assert answer.status_code == 200
    red, notes = answer.json()["items"]
    assert (red["file"], red["predicted"]) == ("red.png", "red")
    assert red["confidence"] == pytest.approx(0.964664, abs=1e-6)
    assert list(red["probabilities"]) == ["red", "blue", "green"]
    assert notes == {
        "file": "notes.jpg",
        "error": {"code": "image-format-unknown", "message": "It is a text, not a picture."},
    }


def test_more_than_64_files_are_too_many(client: TestClient, checkpoint: CheckpointId) -> None:
    files = [("files", (f"{place}.png", RED)) for place in range(65)]

    answer = client.post(f"/api/v1/checkpoints/{checkpoint}/predictions", files=files)

    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too-many-files"


def test_no_file_at_all_is_said_in_words(client: TestClient, checkpoint: CheckpointId) -> None:
    assert client.post(f"/api/v1/checkpoints/{checkpoint}/predictions").status_code == 422


def test_an_unknown_checkpoint_is_not_found(client: TestClient) -> None:
    answer = client.post("/api/v1/checkpoints/nothing/predictions", files=[("files", ("red.png", RED))])

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "checkpoint-not-found"


def test_a_lost_model_file_is_said_in_words(
    client: TestClient, checkpoint: CheckpointId, storage: LocalStorage
) -> None:
    (storage.folder("checkpoints", checkpoint) / "model.onnx").unlink()

    answer = client.post(f"/api/v1/checkpoints/{checkpoint}/predictions", files=[("files", ("red.png", RED))])

    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "model-missing"


def test_a_test_picture_whose_file_is_lost_is_said_to_be_missing(
    client: TestClient, database: Database, storage: LocalStorage
) -> None:
    with database.write() as session:
        run_id, images = add_run(session)
        checkpoint_id = add_checkpoint(session, run_id)
        row = session.get_one(CheckpointRow, checkpoint_id)
        row.folder, row.classes = checkpoint_id, list(COLOURS)
        row.preprocessing = Preprocessing(SIZE, SIZE, (0.5,) * 3, (0.5,) * 3).to_json()
        record_predictions(session, checkpoint_id, evaluation_of(images))
    write_colour_model(storage.folder("checkpoints", checkpoint_id))

    answer = client.get(f"/checkpoints/{checkpoint_id}/try?image={images[0]}", headers={"HX-Request": "true"})

    assert answer.status_code == 404
    assert "isn't in the server" in html.unescape(answer.text)


def test_nobody_without_a_key_gets_answers(anonymous: TestClient, checkpoint: CheckpointId) -> None:
    answer = anonymous.post(f"/api/v1/checkpoints/{checkpoint}/predictions", files=[("files", ("red.png", RED))])

    assert answer.status_code == 401


def test_the_try_page_answers_without_a_script(client: TestClient, checkpoint: CheckpointId, trainable: None) -> None:
    answer = client.post(f"/checkpoints/{checkpoint}/try", files=[("files", ("<b>red.png", RED))])

    assert answer.status_code == 200
    assert "<h2>red" in answer.text
    assert "<meter" in answer.text
    assert "<b>red.png" not in answer.text
    assert f"/api/v1/checkpoints/{checkpoint}/predictions" in answer.text


def test_the_try_page_gives_the_answers_alone_to_a_script(
    client: TestClient, checkpoint: CheckpointId, trainable: None
) -> None:
    files = [("files", ("notes.txt", b"hello"))]

    answer = client.post(f"/checkpoints/{checkpoint}/try", files=files, headers={"HX-Request": "true"})

    assert "<html" not in answer.text
    assert "It is a text, not a picture." in answer.text


def test_a_sound_is_answered_as_it_is_drawn(client: TestClient, checkpoint: CheckpointId, trainable: None) -> None:
    files = [("files", ("tone.wav", tone(440))), ("files", ("m.csv", track([(0, 0, 0), (1, 1, 1)])))]

    answers = client.post(f"/api/v1/checkpoints/{checkpoint}/predictions", files=files).json()["items"]
    page = client.post(f"/checkpoints/{checkpoint}/try", files=files).text

    assert [item["file"] for item in answers] == ["tone.wav", "m.csv"]
    assert all("predicted" in item for item in answers)
    assert page.count('src="data:image/jpeg;base64,') == 2
