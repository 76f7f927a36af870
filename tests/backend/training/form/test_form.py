"""What a person fills in, as a training request."""

import json

import pytest

from backend.domain.training import (
    Augmentation,
    Recipe,
    Stage,
    StageRequest,
    TrainingConfig,
    TrainingRequest,
    resolve,
)
from backend.training.form.fields import CHANGES, STAGE_FIELDS, run_fields
from backend.training.form.form import (
    FormUnusable,
    fields_of,
    fields_of_json,
    request_of,
    run_id_of,
    shown_values,
    with_stage_added,
    with_stage_removed,
)


def test_an_empty_form_asks_for_the_recommended_recipe() -> None:
    assert request_of({}) == TrainingRequest(recipe=Recipe.RECOMMENDED)


def test_an_empty_field_takes_the_recipes_value() -> None:
    form = {"recipe": "lesson-1", "image_size": "", "batch_size": " ", "architecture": "", "stage_epochs_0": ""}

    assert request_of(form) == TrainingRequest(recipe=Recipe.LESSON_1)


def test_a_touched_stage_leaves_the_others_as_the_recipe_has_them() -> None:
    form = {"recipe": "lesson-1", "stage_count": "2", "stage_epochs_0": "3", "stage_high_0": "2e-3"}

    first, second = resolve(request_of(form)).stages

    assert (first.freeze, first.epochs, first.max_lr) == (True, 3, 0.002)
    assert (second.freeze, second.epochs, second.max_lr) == (False, 2, (1e-6, 1e-4))


def test_a_card_chosen_after_the_drawer_was_shown_has_its_own_number_of_stages() -> None:
    form = {"recipe": "lesson-1", "stage_count": "1", "stage_count_of": "recommended", "stage_epochs_0": ""}

    assert request_of(form) == TrainingRequest(recipe=Recipe.LESSON_1)


def test_every_number_of_a_stage_can_be_typed() -> None:
    form = {
        "recipe": "custom",
        "stage_count": "1",
        "stage_freeze_0": "false",
        "stage_epochs_0": "3",
        "stage_low_0": "1e-6",
        "stage_high_0": "1e-4",
        "stage_bn_0": "true",
        "stage_warmup_0": "0.3",
        "stage_start_div_0": "20",
        "stage_final_div_0": "1e4",
        "stage_momentum_high_0": "0.9",
        "stage_momentum_low_0": "0.8",
        "stage_views_0": "3",
        "stage_frozen_blocks_0": "2",
        "stage_image_size_0": "128",
        "stage_keep_best_0": "true",
        "stage_early_stopping_0": "2",
    }

    (stage,) = resolve(request_of(form)).stages

    assert stage == Stage(
        freeze=False, epochs=3, max_lr=(1e-6, 1e-4), train_batch_norm=True, warmup=0.3, start_div=20, final_div=1e4,
        momentum_high=0.9, momentum_low=0.8, views=3, frozen_blocks=2, image_size=128, keep_best=True,
        early_stopping=2,
    )  # fmt: skip


def test_every_other_number_can_be_typed() -> None:
    form = {
        "architecture": "resnet50",
        "weights": "IMAGENET1K_V2",
        "image_size": "160",
        "crop_share": "0.9",
        "batch_size": "16",
        "seed": "7",
        "precision": "bfloat16",
        "device": "cpu",
        "weight_decay": "0.05",
        "decay_batch_norm": "true",
        "last_layer_bias": "true",
        "adam_beta": "0.999",
        "adam_epsilon": "1e-8",
        "class_balance": "weighted-loss",
        "label_smoothing": "0.1",
        "test_time_views": "4",
        "flip": "false",
        "max_rotate": "20",
        "min_zoom": "0.9",
        "p_affine": "0.5",
    }

    config = resolve(request_of(form)).model_dump(mode="json")

    typed = {name: value for name, value in config.items() if name in form}
    assert typed == {
        "architecture": "resnet50", "weights": "IMAGENET1K_V2", "image_size": 160, "crop_share": 0.9, "batch_size": 16,
        "seed": 7, "precision": "bfloat16", "device": "cpu", "weight_decay": 0.05, "decay_batch_norm": True,
        "last_layer_bias": True, "adam_epsilon": 1e-8, "class_balance": "weighted-loss", "label_smoothing": 0.1,
        "test_time_views": 4,
    }  # fmt: skip
    assert config["adam_betas"] == [0.9, 0.999]
    changes = config["augmentation"]
    assert (changes["flip"], changes["max_rotate"], changes["min_zoom"], changes["p_affine"]) == (False, 20, 0.9, 0.5)
    assert changes["max_zoom"] == 1.1


def test_the_form_has_a_field_for_every_setting() -> None:
    settings = set(TrainingConfig.model_fields) - {"recipe", "stages", "augmentation", "adam_betas"}
    of_stages = set(Stage.model_fields) - {"max_lr", "train_batch_norm"}

    assert {field.name for field in run_fields()} == settings | {"adam_beta"}
    assert {field.name for field in STAGE_FIELDS} == of_stages | {"low", "high", "bn"}
    assert {field.name for field in CHANGES} == set(Augmentation.model_fields)


def test_the_word_find_asks_for_a_search() -> None:
    assert resolve(request_of({"stage_count": "1", "stage_high_0": " Find"})).stages[0].max_lr == "find"


def test_untouched_random_changes_are_left_to_the_recipe() -> None:
    assert request_of({"max_lighting": "", "flip": ""}).augmentation is None


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"batch_size": "1"}, "Batch size has to be at least 2."),
        ({"image_size": "9000"}, "Picture size has to be at most 1024."),
        ({"seed": "a"}, "Seed has to be a number."),
        ({"stage_high_0": "100"}, "Stage 1: Learning rate has to be at most 10."),
        ({"stage_high_0": "much"}, "Learning rate has to be a number, or the word find."),
        ({"max_rotate": "x"}, "Turn has to be a number."),
        ({"min_zoom": "2"}, "has its numbers the wrong way round"),
    ],
)
def test_a_field_that_cant_be_used_is_named(form: dict[str, str], sentence: str) -> None:
    with pytest.raises(FormUnusable) as refusal:
        request_of(form)

    assert sentence in refusal.value.message
    (name,) = form
    assert name in refusal.value.details["fields"] or name == "min_zoom"


CHANGED = TrainingRequest(
    recipe=Recipe.LESSON_1,
    architecture="resnet50",
    image_size=299,
    adam_betas=(0.9, 0.999),
    stages=(
        StageRequest(freeze=False, epochs=3, max_lr="find", keep_best=True),
        StageRequest(freeze=True, max_lr=1e-3, momentum_low=0.8),
        StageRequest(freeze=False, max_lr=(1e-6, 1e-4), image_size=320),
    ),
    augmentation=Augmentation(flip=False, p_lighting=0.5),
)


@pytest.mark.parametrize("request_", [*(TrainingRequest(recipe=recipe) for recipe in Recipe), CHANGED])
def test_an_earlier_run_fills_the_form_so_that_it_runs_the_same_again(request_: TrainingRequest) -> None:
    config = resolve(request_)

    assert resolve(request_of(fields_of(config.model_dump(mode="json")))) == config


def test_a_recipe_as_it_is_fills_in_nothing() -> None:
    config = resolve(TrainingRequest(recipe=Recipe.LESSON_1))

    assert fields_of(config.model_dump(mode="json")) == {"recipe": "lesson-1"}


def test_what_was_shown_as_json_can_be_pasted() -> None:
    config = resolve(CHANGED)

    fields = fields_of_json(json.dumps({"version_id": "a", "config": config.model_dump(mode="json")}))

    assert resolve(request_of(fields)) == config


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("stages: 2", "That isn't JSON"),
        ("[1, 2]", "That isn't JSON"),
        ('{"batch_sise": 3}', "“batch_sise” isn't a setting that we know."),
        ('{"batch_size": 1}', "Batch size has to be at least 2."),
    ],
)
def test_json_that_cant_be_used_says_why(text: str, sentence: str) -> None:
    with pytest.raises(FormUnusable) as refusal:
        fields_of_json(text)

    assert sentence in refusal.value.message


def test_a_stage_is_added_at_the_end_and_any_can_be_removed() -> None:
    added = with_stage_added({"recipe": "lesson-1", "stage_count": "2"})
    assert [stage.freeze for stage in resolve(request_of(added)).stages] == [True, False, False]

    removed = with_stage_removed({"recipe": "lesson-1", "stage_count": "2"}, 0)
    (left,) = resolve(request_of(removed)).stages
    assert (left.freeze, left.max_lr) == (False, (1e-6, 1e-4))

    assert len(resolve(request_of(with_stage_removed(removed, 0))).stages) == 1


def test_an_empty_field_shows_what_it_stands_for() -> None:
    shown = shown_values(resolve(TrainingRequest(recipe=Recipe.LESSON_1)))

    assert (shown["batch_size"], shown["weight_decay"], shown["max_zoom"]) == ("64", "0.01", "1.1")
    assert (shown["stage_freeze_0"], shown["stage_high_0"], shown["stage_low_0"]) == ("true", "0.003", "")
    assert (shown["stage_low_1"], shown["stage_high_1"], shown["stage_early_stopping_1"]) == ("1e-6", "0.0001", "")


def test_only_an_id_of_our_own_shape_is_taken_from_a_form() -> None:
    assert run_id_of({"run_id": "0" * 32}) == "0" * 32
    assert run_id_of({"run_id": "../etc/passwd"}) is None
    assert run_id_of({}) is None
