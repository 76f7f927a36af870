"""What a person fills in, as a training request."""

import pytest

from backend.domain.training import Recipe, TrainingRequest, resolve
from backend.training.train_form import FormUnusable, fields_of, request_of, run_id_of


def test_an_empty_form_asks_for_the_recommended_recipe() -> None:
    assert request_of({}) == TrainingRequest(recipe=Recipe.RECOMMENDED)


def test_an_empty_field_takes_the_recipes_value() -> None:
    form = {"recipe": "lesson-1", "image_size": "", "batch_size": " ", "architecture": "", "stage_epochs_0": ""}

    assert request_of(form) == TrainingRequest(recipe=Recipe.LESSON_1)


def test_a_filled_row_sets_a_stage() -> None:
    form = {
        "recipe": "lesson-1",
        "image_size": "128",
        "stage_freeze_0": "true",
        "stage_epochs_0": "3",
        "stage_high_0": "2e-3",
        "stage_low_2": "1e-6",
        "stage_high_2": "1e-4",
        "stage_freeze_2": "false",
        "stage_bn_2": "false",
    }

    request = request_of(form)

    assert request.image_size == 128
    assert request.stages is not None
    first, second = request.stages
    assert (first.freeze, first.epochs, first.max_lr) == (True, 3, 0.002)
    assert (second.freeze, second.max_lr, second.train_batch_norm) == (False, (1e-6, 1e-4), False)


def test_untouched_random_changes_are_left_to_the_recipe() -> None:
    form = {
        "changes": "1",
        "flip": "on",
        "max_rotate": "10.0",
        "max_zoom": "1.1",
        "max_lighting": "",
        "max_warp": "0.2",
    }

    assert request_of(form).augmentation is None


def test_an_unticked_mirror_is_a_change() -> None:
    augmentation = request_of({"changes": "1", "max_rotate": "20"}).augmentation

    assert augmentation is not None
    assert (augmentation.flip, augmentation.max_rotate) == (False, 20)


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"batch_size": "1"}, "Batch size has to be at least 2."),
        ({"image_size": "9000"}, "Picture size has to be at most 1024."),
        ({"seed": "a"}, "Seed has to be a number."),
        ({"stage_high_0": "100"}, "Learning rate has to be at most 10."),
        ({"changes": "1", "max_rotate": "x"}, "Turn has to be a number."),
    ],
)
def test_a_field_that_cant_be_used_is_named(form: dict[str, str], sentence: str) -> None:
    with pytest.raises(FormUnusable) as refusal:
        request_of(form)

    assert sentence in refusal.value.message


def test_an_earlier_run_fills_the_form_so_that_it_runs_the_same_again() -> None:
    config = resolve(TrainingRequest(recipe=Recipe.LESSON_1))

    again = resolve(request_of(fields_of(config.model_dump(mode="json")) | {"changes": "1"}))

    assert again == config


def test_only_an_id_of_our_own_shape_is_taken_from_a_form() -> None:
    assert run_id_of({"run_id": "0" * 32}) == "0" * 32
    assert run_id_of({"run_id": "../etc/passwd"}) is None
    assert run_id_of({}) is None
