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
from backend.training.form.form import TrainForm
from backend.training.form.problems import FormUnusable
from backend.training.form.reading import request_of
from backend.training.form.writing import fields_of, shown_values


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


def test_a_preset_chosen_after_the_drawer_was_shown_has_its_own_number_of_stages() -> None:
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
        "devices": "2",
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
    assert request_of(form).devices == 2
    changes = config["augmentation"]
    assert (changes["flip"], changes["max_rotate"], changes["min_zoom"], changes["p_affine"]) == (False, 20, 0.9, 0.5)
    assert changes["max_zoom"] == 1.1


def test_the_form_has_a_field_for_every_setting() -> None:
    settings = set(TrainingConfig.model_fields) - {"recipe", "stages", "augmentation", "adam_betas"}
    of_stages = set(Stage.model_fields) - {"max_lr", "train_batch_norm"}

    assert {field.name for field in run_fields()} == settings | {"adam_beta", "devices"}
    assert {field.name for field in STAGE_FIELDS} == of_stages | {"low", "high", "bn"}
    assert {field.name for field in CHANGES} == set(Augmentation.model_fields)


def test_the_word_find_asks_for_a_search() -> None:
    assert resolve(request_of({"stage_count": "1", "stage_high_0": " Find"})).stages[0].max_lr == "find"


def test_untouched_random_changes_are_left_to_the_recipe() -> None:
    assert request_of({"max_lighting": "", "flip": ""}).augmentation is None


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"batch_size": "1"}, "Batch size must be a whole number from 2 to 1,024."),
        ({"image_size": "9000"}, "Picture size must be a whole number from 32 to 1,024."),
        ({"seed": "a"}, "Seed must be a whole number from 0 to 4,294,967,295."),
        ({"label_smoothing": "1"}, "Label smoothing must be a number of at least 0 and below 1."),
        ({"adam_beta": "2"}, "Adam beta2 must be a number above 0 and below 1."),
        ({"precision": "double"},
         "Precision must be one of: auto, 32 bits, 16 bits (bfloat16), 16 bits (float16)."),
        ({"flip": "perhaps"}, "Mirror left and right must be one of: yes, no."),
        ({"stage_epochs_0": "0"}, "Stage 1: Epochs must be a whole number from 1 to 1,000."),
        ({"stage_final_div_0": "inf"}, "Stage 1: End divisor must be a number of at least 1."),
        ({"stage_high_0": "100"},
         "Stage 1: Rate, last layers must be a number above 0 and up to 10, or the word “find”."),
        ({"stage_high_0": "much"},
         "Stage 1: Rate, last layers must be a number above 0 and up to 10, or the word “find”."),
        ({"max_rotate": "x"}, "Max rotation must be a number from 0 to 180."),
        ({"min_zoom": "2"}, "The smallest zoom must not be larger than the largest."),
        ({"recipe": "magic"}, "Choose one of the ways to train that are shown."),
    ],
)  # fmt: skip
def test_a_field_that_cant_be_used_has_one_sentence_with_what_it_accepts(form: dict[str, str], sentence: str) -> None:
    with pytest.raises(FormUnusable) as refusal:
        request_of(form)

    (name,) = form
    assert refusal.value.details["fields"] == {name: sentence}
    assert refusal.value.message == sentence


def test_of_two_rates_the_one_that_cant_be_used_is_named() -> None:
    with pytest.raises(FormUnusable) as refusal:
        request_of({"stage_low_0": "x", "stage_high_0": "1e-3"})

    assert refusal.value.sentences == {
        "stage_low_0": "Stage 1: Rate, first layers must be a number above 0 and up to 10."
    }


def test_the_rate_of_the_first_layers_alone_leaves_the_presets_rate_to_the_last_ones() -> None:
    form = {"recipe": "lesson-1", "stage_count": "2", "stage_low_1": "5e-6"}

    assert resolve(request_of(form)).stages[1].max_lr == (5e-6, 1e-4)


def test_a_decimal_comma_counts_as_a_point() -> None:
    config = resolve(request_of({"weight_decay": "0,05", "stage_warmup_0": "0,5"}))

    assert (config.weight_decay, config.stages[0].warmup) == (0.05, 0.5)


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

    form = TrainForm.of_json(json.dumps({"version_id": "a", "config": config.model_dump(mode="json")}))

    assert resolve(form.request()) == config


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("stages: 2", "These settings aren't JSON: they have to begin with { and end with }."),
        ("[1, 2]", "These settings aren't JSON: they have to begin with { and end with }."),
        ('{"batch_sise": 3}', "“batch_sise” isn't a setting that is known here."),
        ('{"batch_size": 1}', "Batch size must be a whole number from 2 to 1,024."),
    ],
)
def test_json_that_cant_be_used_shows_why(text: str, sentence: str) -> None:
    with pytest.raises(FormUnusable) as refusal:
        TrainForm.of_json(text)

    assert refusal.value.message == sentence


def test_a_stage_is_added_at_the_end_and_any_can_be_removed() -> None:
    form = TrainForm({"recipe": "lesson-1", "stage_count": "2"})
    added = form.with_stage_added()
    assert [stage.freeze for stage in resolve(added.request()).stages] == [True, False, False]

    removed = form.without_stage(0)
    (left,) = resolve(removed.request()).stages
    assert (left.freeze, left.max_lr) == (False, (1e-6, 1e-4))

    assert len(resolve(removed.without_stage(0).request()).stages) == 1


def test_the_number_of_devices_stays_as_chosen_when_stages_change_or_json_is_pasted() -> None:
    form = TrainForm({"recipe": "lesson-1", "devices": "2"})

    assert form.with_stage_added().request().devices == 2
    assert TrainForm.of_json('{"recipe": "lesson-1", "devices": 4}').request().devices == 4
    assert TrainForm.of_json('{"recipe": "lesson-1"}').request().devices is None


def test_an_empty_field_shows_its_default() -> None:
    shown = shown_values(resolve(TrainingRequest(recipe=Recipe.LESSON_1)))

    assert (shown["batch_size"], shown["weight_decay"], shown["max_zoom"]) == ("64", "0.01", "1.1")
    assert shown["devices"] == "auto"
    assert (shown["stage_freeze_0"], shown["stage_high_0"], shown["stage_low_0"]) == ("true", "0.003", "")
    assert (shown["stage_low_1"], shown["stage_high_1"], shown["stage_early_stopping_1"]) == ("1e-6", "0.0001", "")


def test_only_an_id_of_our_own_shape_is_taken_from_a_form() -> None:
    assert TrainForm({"run_id": "0" * 32}).run_id == "0" * 32
    assert TrainForm({"run_id": "../etc/passwd"}).run_id is None
    assert TrainForm({}).run_id is None
