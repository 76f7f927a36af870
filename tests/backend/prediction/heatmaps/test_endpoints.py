"""Heat maps, asked by program."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.prediction.heatmaps import service
from backend.storage.local import LocalStorage
from tests.backend.prediction.conftest import SIZE, WEIGHTS
from tests.backend.prediction.run_scene import RunScene, add_scene
from tests.fixtures.colour_model import write_colour_model


@pytest.fixture
def scene(database: Database, storage: LocalStorage) -> RunScene:
    """A picture whose left half is red and whose right half is blue; blue speaks for its class."""
    return add_scene(database, storage)


def opacity_of(content: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA").getchannel("A"))


def test_it_shows_the_part_that_speaks_for_the_prediction(client: TestClient, scene: RunScene) -> None:
    answer = client.get(f"{scene.address}/heatmap?checkpoint={scene.checkpoint_id}")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert "immutable" in answer.headers["cache-control"]
    shown = opacity_of(answer.content)
    # As wide as the picture; the network sees the square in the middle.
    assert shown.shape == (192, 384)
    assert shown[:, 240:280].min() > 190
    assert shown[:, :165].max() == 0
    assert shown[:, 300:].max() == 0


def test_another_class_has_another_map(client: TestClient, scene: RunScene) -> None:
    shown = opacity_of(client.get(f"{scene.address}/heatmap?of=owl").content)

    assert shown[:, 104:144].min() > 190
    assert shown[:, 220:].max() == 0


def test_the_label_has_one_too(client: TestClient, scene: RunScene) -> None:
    of_label, of_class = (client.get(f"{scene.address}/heatmap?of={of}").content for of in ("actual", "cat"))

    assert of_label == of_class


def test_an_outline_is_a_line(client: TestClient, scene: RunScene) -> None:
    shown = opacity_of(client.get(f"{scene.address}/heatmap?style=outline").content)

    assert sorted(set(shown.ravel().tolist())) == [0, 190, 255]


def test_without_a_checkpoint_it_may_change(client: TestClient, scene: RunScene) -> None:
    assert client.get(f"{scene.address}/heatmap").headers["cache-control"] == "private, no-cache"


def test_what_was_made_is_kept(client: TestClient, scene: RunScene, storage: LocalStorage) -> None:
    first = client.get(f"{scene.address}/heatmap").content
    (storage.folder("checkpoints", scene.checkpoint_id) / "model.onnx").unlink()

    assert client.get(f"{scene.address}/heatmap").content == first


def test_only_the_newest_are_kept(
    client: TestClient, scene: RunScene, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "KEPT_IN_A_FOLDER", 0)

    assert client.get(f"{scene.address}/heatmap").status_code == 200

    assert list((storage.root / "heatmaps").rglob("*.png")) == []


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("of=dragon", 422, "class-unknown"),
        ("style=neon", 422, "invalid-input"),
        ("checkpoint=nothing", 404, "checkpoint-not-found"),
    ],
)
def test_what_cant_be_drawn_is_said_in_words(
    client: TestClient, scene: RunScene, query: str, status: int, code: str
) -> None:
    answer = client.get(f"{scene.address}/heatmap?{query}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_picture_that_was_not_tested_has_none(client: TestClient, scene: RunScene) -> None:
    answer = client.get(f"/api/v1/runs/{scene.run_id}/images/nothing/heatmap")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "image-not-tested")


def test_an_earlier_models_file_has_none(client: TestClient, scene: RunScene, storage: LocalStorage) -> None:
    write_colour_model(storage.folder("checkpoints", scene.checkpoint_id), WEIGHTS, SIZE, feature_map="squares")

    answer = client.get(f"{scene.address}/heatmap")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "heatmaps-unavailable")
    assert answer.json()["error"]["message"] == "This model has no heat maps."


@pytest.mark.parametrize(
    ("damage", "code"), [(b"not what was written", "model-damaged"), (None, "model-missing")], ids=["damaged", "lost"]
)
def test_weights_that_cant_be_read_are_said_in_words(
    client: TestClient, scene: RunScene, storage: LocalStorage, damage: bytes | None, code: str
) -> None:
    file = storage.folder("checkpoints", scene.checkpoint_id) / "weights.safetensors"
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)

    answer = client.get(f"{scene.address}/heatmap")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, code)


def test_a_lost_picture_is_said_in_words(client: TestClient, scene: RunScene) -> None:
    answer = client.get(f"/api/v1/runs/{scene.run_id}/images/{scene.images[1]}/heatmap")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "image-file-missing")


def test_nobody_without_a_key_sees_one(anonymous: TestClient, scene: RunScene) -> None:
    assert anonymous.get(f"{scene.address}/heatmap").status_code == 401
