"""The presets of the train page, and that one is posted as its recipe with the numbers filled in."""

import pytest
from starlette.testclient import TestClient

from backend.db.session import Database
from backend.domain.ids import VersionId
from backend.domain.training import Recipe, TrainingRequest, resolve
from backend.tables.datasets import VersionRow
from backend.training.form.form import TrainForm
from backend.training.form.presets import (
    PRESETS,
    QUICK_LOOK,
    RECOMMENDED,
    THOROUGH,
    Preset,
    first_preset,
    preset_like,
    preset_named,
)
from backend.training.form.reading import request_of
from backend.training.form.writing import fields_of
from tests.backend.training.scene import Scene

PAGE = {"Accept": "text/html"}


@pytest.fixture
def version_id(database: Database) -> VersionId:
    return Scene(database).version()


def test_a_quick_look_is_a_frozen_stage_on_small_pictures() -> None:
    config = resolve(request_of({"recipe": "quick-look"}))

    (stage,) = config.stages
    assert (config.recipe, config.architecture, config.image_size) == (Recipe.RECOMMENDED, "efficientnet-lite0", 160)
    assert (stage.freeze, stage.epochs, stage.max_lr, stage.features_are_constant) == (True, 4, 0.003, True)


def test_thorough_is_a_larger_network_on_larger_pictures_for_longer() -> None:
    config = resolve(request_of({"recipe": "thorough"}))

    assert (config.architecture, config.image_size) == ("resnet50", 299)
    assert [(stage.freeze, stage.epochs) for stage in config.stages] == [(True, 8), (False, 3)]


def test_a_touched_preset_keeps_the_rest_of_its_numbers() -> None:
    form = {"recipe": "quick-look", "stage_count": "1", "stage_count_of": "quick-look", "stage_epochs_0": "7"}

    config = resolve(request_of(form))

    (stage,) = config.stages
    assert (config.image_size, stage.epochs, stage.max_lr) == (160, 7, 0.003)


def test_a_stage_of_another_kind_takes_none_of_the_presets_numbers() -> None:
    form = {"recipe": "quick-look", "stage_count": "1", "stage_count_of": "quick-look", "stage_freeze_0": "false"}

    (stage,) = resolve(request_of(form)).stages

    assert (stage.freeze, stage.epochs, stage.max_lr) == (False, 2, (3e-5, 3e-4))


@pytest.mark.parametrize("preset", PRESETS, ids=[preset.name for preset in PRESETS])
def test_a_run_of_a_preset_is_shown_as_that_preset(preset: Preset) -> None:
    config = preset.config()

    assert fields_of(config.model_dump(mode="json")) == {"recipe": preset.name}
    assert preset_like(config) is preset


def test_what_is_no_presets_is_its_recipes_own() -> None:
    config = resolve(TrainingRequest(recipe=Recipe.RECOMMENDED, image_size=192))

    assert preset_like(config) is RECOMMENDED


def test_another_network_leaves_the_presets_picture_size() -> None:
    form = {"recipe": "thorough", "architecture": "efficientnet-lite0"}
    config = resolve(request_of(form))

    assert (config.architecture, config.image_size, config.weights) == ("efficientnet-lite0", 299, "imagenet")
    assert fields_of(config.model_dump(mode="json"), THOROUGH) == form


def test_one_more_stage_leaves_the_preset() -> None:
    fields = TrainForm({"recipe": "quick-look"}).with_stage_added().fields

    assert fields["recipe"] == "quick-look"
    assert resolve(request_of(fields)).image_size == 160
    assert [stage.freeze for stage in resolve(request_of(fields)).stages] == [True, False]


def test_no_preset_named_is_the_recommended_one_and_an_unknown_one_is_none() -> None:
    assert preset_named("") is RECOMMENDED
    assert preset_named("magic") is None


def test_a_handful_of_pictures_begins_with_a_quick_look() -> None:
    assert first_preset(10) is QUICK_LOOK
    assert first_preset(1000) is RECOMMENDED


def test_ten_pictures_are_offered_a_quick_look_first_with_the_reason(
    client: TestClient, version_id: VersionId, database: Database
) -> None:
    with database.write() as session:
        version = session.get_one(VersionRow, version_id)
        version.counts = {name: {"train": 4, "valid": 1, "test": 0} for name in version.counts}

    text = client.get(f"/versions/{version_id}/train", headers=PAGE).text

    assert "10 pictures is very few, so the score will be unreliable." in text
    assert 'value="quick-look" checked' in text
    assert text.index('value="quick-look"') < text.index("More ways to train") < text.index('value="thorough"')


def test_weights_that_are_not_here_come_with_how_to_put_them_there_and_what_is_here(
    client: TestClient, version_id: VersionId
) -> None:
    path, form = f"/versions/{version_id}/train/forecast", {"recipe": "thorough"}

    text = client.post(path, data=form).text
    assert "How to copy the weights to the server" in text
    assert "resnet50-0676ba61.pth" in text
    assert "Use EfficientNet-Lite0 instead" in text

    taken = client.post(path, data=form | {"do": "use-efficientnet-lite0"}).text
    assert "How to copy the weights to the server" not in taken
    assert "changed from “Thorough”" in taken


def test_a_preset_is_posted_as_its_recipe(client: TestClient, version_id: VersionId) -> None:
    client.post(f"/versions/{version_id}/train", data={"recipe": "quick-look", "run_id": "c" * 32})

    (run,) = client.get("/api/v1/runs").json()["items"]
    assert (run["config"]["recipe"], run["config"]["image_size"]) == ("recommended", 160)
