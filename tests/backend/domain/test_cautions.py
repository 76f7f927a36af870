"""What a person should know before a training starts."""

import pytest

from backend.domain.cautions import cautions
from backend.domain.training import ClassBalance, MaxLearningRate, Recipe, StageRequest, TrainingRequest, resolve

EVEN = {"cat": {"train": 400}, "dog": {"train": 380}}
UNEVEN = {"cat": {"train": 412}, "owl": {"train": 38}}


def codes(request: TrainingRequest, counts: dict[str, dict[str, int]] | None = None) -> list[str]:
    """The codes of what is said about a request."""
    return [caution.code for caution in cautions(resolve(request), counts or EVEN)]


@pytest.mark.parametrize("recipe", Recipe)
def test_our_own_recipes_give_no_cause_for_caution(recipe: Recipe) -> None:
    assert codes(TrainingRequest(recipe=recipe)) == []


def test_a_rate_that_would_blow_up_is_named_with_what_is_usual() -> None:
    (caution,) = cautions(resolve(TrainingRequest(stages=(StageRequest(freeze=True, max_lr=10),))), EVEN)

    assert (
        caution.message == "Stage 1: the learning rate 10 is too high, so training would fail. Usual: 0.0001 to 0.01."
    )


@pytest.mark.parametrize(
    ("freeze", "max_lr", "code"),
    [
        (True, 1e-6, "rate-too-low"),
        (False, (1e-10, 1e-8), "rate-too-low"),
        (False, (1e-3, 1e-5), "rates-upside-down"),
        (False, (0.5, 1e-3), "rate-too-high"),
    ],
)
def test_other_unlikely_rates_are_named(freeze: bool, max_lr: MaxLearningRate, code: str) -> None:
    assert codes(TrainingRequest(stages=(StageRequest(freeze=freeze, max_lr=max_lr),))) == [code]


def test_a_rate_that_is_to_be_found_is_no_cause() -> None:
    assert codes(TrainingRequest(stages=(StageRequest(freeze=True, max_lr="find"),))) == []


def test_unequal_classes_are_named_with_their_numbers() -> None:
    (caution,) = cautions(resolve(TrainingRequest()), UNEVEN)

    assert caution.code == "classes-unequal"
    assert "412 training pictures of “cat”, 38 of “owl”" in caution.message


def test_unequal_classes_that_are_balanced_need_no_word() -> None:
    assert codes(TrainingRequest(class_balance=ClassBalance.WEIGHTED_LOSS), UNEVEN) == []


def test_batch_norm_that_has_too_few_steps_to_learn_is_named() -> None:
    request = TrainingRequest(
        architecture="efficientnet-lite0",
        batch_size=64,
        stages=(StageRequest(freeze=True, epochs=4, train_batch_norm=True),),
    )

    (caution,) = cautions(resolve(request), {"cat": {"train": 100}, "dog": {"train": 100}})

    # 16 steps of 10 % each: 1 - 0.9 ** 16.
    assert caution.code == "batch-norm-half-learnt"
    assert "After 16 steps it is 81 % adapted" in caution.message
    assert codes(request, {"cat": {"train": 640}, "dog": {"train": 640}}) == []


def test_classes_without_test_pictures_are_named() -> None:
    counts = {"cat": {"train": 40, "valid": 29}, "dog": {"train": 38, "valid": 0}, "owl": {"train": 39, "valid": 0}}

    (caution,) = cautions(resolve(TrainingRequest(recipe=Recipe.RECOMMENDED)), counts)

    assert caution.code == "classes-untested"
    assert caution.message == (
        "2 classes have no test pictures: “dog”, “owl”. How often the model is right on these classes can't be "
        "measured. "
        "Train anyway, or hold out a larger share."
    )


def test_a_score_from_few_pictures_is_called_unreliable() -> None:
    counts = {"cat": {"train": 10, "valid": 2}, "dog": {"train": 10, "valid": 1}}

    (caution,) = cautions(resolve(TrainingRequest()), counts)

    assert caution.code == "few-test-pictures"
    assert caution.message == (
        "Only 3 pictures are held out for testing, so the score will be unreliable: "
        "a single mistake changes it by 33 %. Hold out at least 20 pictures, or add more."
    )
