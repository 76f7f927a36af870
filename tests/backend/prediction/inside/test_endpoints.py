"""Look inside a trained network, by program: from the order to its pictures."""

import io
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import update
from starlette.testclient import TestClient

from backend.dependencies import Services
from backend.domain.inside import Comparison
from backend.domain.json import Json
from backend.domain.training import StageRequest
from backend.prediction.inside.looking import LOOKS
from backend.prediction.inside.service import inside_of
from backend.tables.training import CheckpointRow, RunRow
from tests.backend.interpretation.labelled import Shapes, trained_shapes
from tests.fixtures.engine import frozen, unfrozen
from tests.fixtures.inside import timm_config, train_timm, write_found
from tests.fixtures.timm_networks import WITH_BATCH_NORM


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One kind of database: nothing is written, and each look takes seconds."""
    return sqlite_url


@pytest.fixture
def shapes(client: TestClient, services: Services) -> Shapes:
    """A run with two stages, whose models can't be read as checkpoints."""
    return trained_shapes(client, services, is_examined=False)


@dataclass(frozen=True)
class Model:
    """A run whose last stage is a real model of a small network."""

    shapes: Shapes

    @property
    def path(self) -> str:
        return f"/api/v1/runs/{self.shapes.run_id}/inside?checkpoint={self.checkpoint_id}"

    @property
    def checkpoint_id(self) -> str:
        found: str = self.shapes.get(f"/runs/{self.shapes.run_id}")["checkpoints"][-1]["id"]
        return found

    def get(self) -> Json:
        return self.shapes.client.get(self.path).json()

    def look(self) -> Json:
        """Ask, and wait until it is over."""
        answer = self.shapes.client.post(self.path)
        assert answer.status_code == 202, answer.text
        LOOKS.wait_for_all()
        return self.get()


def found_in(shapes: Shapes, comparison: Comparison = Comparison.CHANGED) -> Model:
    """A run whose last stage was looked into, though its model can't be read."""
    model, services = Model(shapes), shapes.services
    with services.database.read() as session:
        standing = inside_of(session, services, shapes.run_id, model.checkpoint_id)
        row = session.get_one(CheckpointRow, model.checkpoint_id)
    write_found(services.storage.folder("inside", row.folder) / standing.key, [*shapes.ids.values()], comparison)
    return model


def model_of(shapes: Shapes, folder: Path, *stages: StageRequest) -> Model:
    """Train, and put the model in the place of the run's last one."""
    model, services = Model(shapes), shapes.services
    trained = train_timm(folder, *stages)
    place = services.storage.folder("checkpoints", model.checkpoint_id)
    shutil.copytree(trained, place, dirs_exist_ok=True)
    services.settings.weights_folder.mkdir(parents=True, exist_ok=True)
    for file in (folder / "weights").iterdir():
        shutil.copy(file, services.settings.weights_folder)
    with services.database.write() as session:
        config = timm_config(WITH_BATCH_NORM, *stages).model_dump(mode="json")
        session.execute(update(RunRow).where(RunRow.id == shapes.run_id).values(config=config))
    return model


@pytest.fixture
def trained(shapes: Shapes, tmp_path: Path) -> Model:
    """Its first stage was frozen, its second wasn't."""
    return model_of(shapes, tmp_path / "model", frozen(1), unfrozen(1, max_lr=(1e-3, 1e-2)))


def test_nothing_is_computed_until_somebody_asks(shapes: Shapes) -> None:
    found = Model(shapes).get()

    assert (found["status"], found["blocks"], found["filters"]) == ("none", [], None)
    assert not list(shapes.services.storage.folder("inside", Model(shapes).checkpoint_id).rglob("*"))


def test_each_block_has_units_with_patches_of_the_datasets_pictures(trained: Model) -> None:
    found = trained.look()

    assert (found["status"], found["images"], found["view_side"]) == ("ready", 36, 32)
    assert [block["name"] for block in found["blocks"]][:2] == ["conv_stem", "blocks.0"]
    assert found["comparison"] == "changed"
    known = {*trained.shapes.ids.values()}
    for block in found["blocks"]:
        assert 1 <= len(block["units"]) <= 12
        assert block["weight_change"] > 0
        for unit in block["units"]:
            images = [patch["image_id"] for patch in unit["patches"]]
            assert len(images) == len({*images}) == 9
            assert {*images} <= known
            activations = [patch["activation"] for patch in unit["patches"]]
            assert activations == sorted(activations, reverse=True)
            assert all(0 <= patch["box"]["left"] < patch["box"]["right"] <= 32 for patch in unit["patches"])
    # It is kept: asking again begins nothing.
    assert trained.shapes.client.post(trained.path).json() == found


def test_its_pictures_are_at_their_addresses(shapes: Shapes) -> None:
    found = found_in(shapes).get()
    client, unit = shapes.client, found["blocks"][0]["units"][0]

    answers = [client.get(unit["url"]), client.get(unit["url_before"]), client.get(found["filters"]["url"])]

    assert [answer.headers["content-type"] for answer in answers] == ["image/webp", "image/webp", "image/png"]
    assert all("immutable" in answer.headers["cache-control"] for answer in answers)
    assert Image.open(io.BytesIO(answers[0].content)).size == (244, 244)


@pytest.mark.parametrize("name", ["inside.json", "order.json", "..%2Finside.json", "block-99-unit-1-after.webp"])
def test_nothing_else_is_handed_out(shapes: Shapes, name: str) -> None:
    url: str = found_in(shapes).get()["filters"]["url"]

    answer = shapes.client.get(url.replace("filters-after.png", name))

    assert answer.status_code == 404


def test_a_frozen_network_is_unchanged(shapes: Shapes, tmp_path: Path) -> None:
    model = model_of(shapes, tmp_path / "model", frozen(1), frozen(1))

    found = model.look()

    assert found["comparison"] == "unchanged"
    assert found["filters"]["url_before"] is None
    assert {unit["url_before"] for block in found["blocks"] for unit in block["units"]} == {None}
    page = shapes.client.get(_page(model)).text
    assert "every stage that led to this model trained only the last layers" in page


def test_without_the_pretrained_weights_the_page_says_so(shapes: Shapes) -> None:
    model = found_in(shapes, Comparison.UNAVAILABLE)

    page = shapes.client.get(_page(model)).text

    assert "The pretrained weights aren&#39;t on this server" in page
    assert "weights changed" not in page


def test_it_can_be_cancelled_and_asked_for_again(trained: Model) -> None:
    trained.shapes.client.post(trained.path)

    assert trained.shapes.client.delete(trained.path).json()["status"] == "none"
    LOOKS.wait_for_all()
    assert trained.get()["status"] == "none"
    assert trained.shapes.client.post(trained.path).json()["status"] in ("waiting", "computing")
    trained.shapes.client.delete(trained.path)


def test_after_a_restart_it_begins_again(trained: Model) -> None:
    trained.shapes.client.post(trained.path)
    LOOKS.end_all()
    LOOKS.wait_for_all()

    assert trained.get()["status"] in ("waiting", "computing")
    LOOKS.wait_for_all()
    assert trained.get()["status"] == "ready"


def test_a_model_that_cannot_be_read_has_the_reason(shapes: Shapes) -> None:
    found = Model(shapes).look()

    assert found["status"] == "failed"
    assert "can't be read" in found["message"]
    page = shapes.client.get(_page(Model(shapes))).text
    assert "Try again" in page


def test_a_run_without_a_model_has_none(client: TestClient, shapes: Shapes) -> None:
    queued = shapes.past.order("later")

    answer = client.post(f"/api/v1/runs/{queued}/inside")

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no-results-yet")


def test_it_goes_with_its_training(shapes: Shapes) -> None:
    model = found_in(shapes)
    folder = shapes.services.storage.folder("inside", model.checkpoint_id)
    assert any(folder.iterdir())

    assert shapes.client.delete(f"/api/v1/runs/{shapes.run_id}").status_code < 300

    assert not folder.exists()


def test_the_page_asks_shows_progress_and_then_the_patches(shapes: Shapes) -> None:
    model = Model(shapes)
    page = shapes.client.get(_page(model)).text
    assert ">Inside<" in page
    assert "Look inside" in page
    found_in(shapes)
    images = [*shapes.ids.values()]

    page = shapes.client.get(_page(model)).text

    assert "Activations have changed most in block 3 (9.0 %) and least in block 1 (3.0 %)." in page
    assert "Classes explain 10.0 % of the differences in a typical unit&#39;s activation in block 1" in page
    assert page.count(f'href="/datasets/{shapes.dataset_id}/images/{images[0]}"') == 3 * 8 * 2
    assert 'alt="Patches that excited unit 0 most before training"' in page


def test_the_form_of_the_page_starts_and_cancels(shapes: Shapes) -> None:
    model, client = Model(shapes), shapes.client
    path = _page(model).split("?")[0]

    for action, words in (("look", "Cancel"), ("cancel", "Look inside")):
        body = {"checkpoint": model.checkpoint_id, "action": action}
        answer = client.post(path, data=body, follow_redirects=False)
        assert answer.status_code == 303
        if action == "cancel":
            LOOKS.wait_for_all()
        assert words in client.get(_page(model)).text


def _page(model: Model) -> str:
    return f"/runs/{model.shapes.run_id}/understand/inside?checkpoint={model.checkpoint_id}"
