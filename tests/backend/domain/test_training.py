from typing import Any

import pytest
from pydantic import ValidationError

from backend.domain.architectures import ARCHITECTURES
from backend.domain.catalogue import UnknownArchitecture, UnknownWeights
from backend.domain.schedule import group_rates, one_cycle, one_cycle_momentum
from backend.domain.training import (
    Augmentation,
    Recipe,
    RunIf,
    RunStatus,
    StageRequest,
    TrainingConfig,
    TrainingRequest,
    resolve,
)
from tests.fixtures.fastai import figures


@pytest.mark.parametrize(
    ("progress", "rate"),
    # The cosine legs of fastai 2's fit_one_cycle at lr_max 1e-3: 4e-5 up to 1e-3 in the first quarter, down to 1e-8.
    [(0.0, 4e-5), (0.125, 5.2e-4), (0.25, 1e-3), (0.625, 5.00005e-4), (1.0, 1e-8)],
)
def test_the_rate_rises_and_falls_along_cosines(progress: float, rate: float) -> None:
    assert one_cycle(progress, peak=1e-3, warmup=0.25, start_div=25, final_div=1e5) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("progress", "momentum"), [(0.0, 0.95), (0.125, 0.90), (0.25, 0.85), (0.625, 0.90), (1.0, 0.95)]
)
def test_momentum_moves_against_the_rate(progress: float, momentum: float) -> None:
    assert one_cycle_momentum(progress, high=0.95, low=0.85, warmup=0.25) == pytest.approx(momentum)


@pytest.mark.parametrize(
    ("fit", "stages"),
    [
        (
            "fit_one_cycle(4, slice(1e-5, 1e-3))",
            (StageRequest(freeze=False, epochs=4, max_lr=(1e-5, 1e-3)),),
        ),
        ("fine_tune(4)", None),
    ],
)
def test_every_step_has_fastais_rates_and_momentum(fit: str, stages: tuple[StageRequest, ...] | None) -> None:
    recipe = Recipe.FINE_TUNE if stages is None else Recipe.RECOMMENDED
    seven_steps_an_epoch = [
        (stage, step / (7 * stage.epochs))
        for stage in resolve(TrainingRequest(recipe=recipe, stages=stages)).stages
        for step in range(7 * stage.epochs)
    ]

    fastai = figures("schedules")[fit]

    assert len(seven_steps_an_epoch) == len(fastai)
    for (stage, progress), row in zip(seven_steps_an_epoch, fastai, strict=True):
        shape = {"warmup": stage.warmup, "start_div": stage.start_div, "final_div": stage.final_div}
        assert not isinstance(stage.max_lr, str)
        rates = [one_cycle(progress, peak=peak, **shape) for peak in group_rates(stage.max_lr, 3)]
        # fastai's progress is a float32.
        assert rates == pytest.approx(row["rates"], rel=1e-5)
        momentum = one_cycle_momentum(progress, high=stage.momentum_high, low=stage.momentum_low, warmup=stage.warmup)
        assert momentum == pytest.approx(row["momentum"], rel=1e-6)


# One number is read as fastai's slice(number), as in both courses' frozen stages; its plain number isn't offered.
SPREAD: dict[str, float | tuple[float, float]] = {"slice(0.002)": 2e-3, "slice(1e-6, 1e-4)": (1e-6, 1e-4)}


@pytest.mark.parametrize(
    "row",
    [row for row in figures("spread_rates") if row["given"] in SPREAD],
    ids=lambda row: f"{row['given']} over {row['groups']}",
)
def test_rates_are_spread_over_layer_groups_as_fastais_slices_are(row: dict[str, Any]) -> None:
    assert group_rates(SPREAD[row["given"]], row["groups"]) == pytest.approx(row["rates"])


def test_a_pair_of_rates_for_one_group_is_its_second() -> None:
    assert group_rates((1e-6, 1e-4), 1) == (1e-4,)


def test_nothing_asked_for_gives_the_recommended_recipe() -> None:
    config = resolve(TrainingRequest())

    assert (config.recipe, config.architecture, config.weights) == (
        Recipe.RECOMMENDED,
        "efficientnet-lite0",
        "imagenet",
    )
    assert (config.image_size, config.batch_size, config.crop_share, config.seed) == (224, 32, 0.875, 42)
    frozen, whole = config.stages
    assert (frozen.freeze, frozen.epochs, frozen.max_lr, frozen.train_batch_norm) == (True, 10, 2e-3, False)
    assert (whole.freeze, whole.epochs, whole.max_lr, whole.train_batch_norm) == (False, 50, (3e-3, 3e-3), True)
    assert (whole.image_size, whole.keep_best, whole.run_if) == (128, True, RunIf.MISTAKES)


def test_stages_that_are_asked_for_are_gentle_and_run_in_any_case() -> None:
    asked = (StageRequest(), StageRequest(freeze=False))

    frozen, unfrozen = resolve(TrainingRequest(recipe=Recipe.RECOMMENDED, stages=asked)).stages

    assert (frozen.freeze, frozen.epochs) == (True, 10)
    assert (unfrozen.epochs, unfrozen.max_lr, unfrozen.train_batch_norm) == (2, (3e-5, 3e-4), False)
    assert (unfrozen.image_size, unfrozen.run_if) == (None, RunIf.ALWAYS)


def test_only_the_recommended_recipe_keeps_to_a_time() -> None:
    with pytest.raises(ValidationError, match="A time limit belongs to the recommended recipe"):
        TrainingRequest(recipe=Recipe.LESSON_1, minutes=2)
    # The config of a run, sent again as it is.
    assert resolve(TrainingRequest(minutes=2, stages=(StageRequest(freeze=True),))).minutes is None


def test_the_first_lesson_has_the_courses_numbers() -> None:
    config = resolve(TrainingRequest(recipe=Recipe.LESSON_1))

    frozen, unfrozen = config.stages
    assert (config.architecture, config.weight_decay, config.decay_batch_norm) == ("resnet34", 0.01, True)
    assert config.last_layer_bias
    assert (frozen.freeze, frozen.epochs, frozen.max_lr, frozen.warmup, frozen.final_div) == (True, 4, 3e-3, 0.3, 2.5e5)
    assert (unfrozen.freeze, unfrozen.epochs, unfrozen.max_lr) == (False, 2, (1e-6, 1e-4))
    assert (frozen.momentum_high, frozen.momentum_low) == (0.95, 0.85)


def test_fine_tune_has_fastais_numbers() -> None:
    frozen, unfrozen = resolve(TrainingRequest(recipe=Recipe.FINE_TUNE)).stages

    assert (frozen.epochs, frozen.max_lr, frozen.warmup, frozen.start_div) == (1, 2e-3, 0.99, 25)
    assert (unfrozen.max_lr, unfrozen.warmup, unfrozen.start_div, unfrozen.final_div) == ((1e-5, 1e-3), 0.3, 5, 1e5)


def test_the_head_learns_from_the_plain_view_unless_the_random_changes_are_changed() -> None:
    plain = resolve(TrainingRequest(stages=(StageRequest(freeze=True),))).stages[0]
    flipped = resolve(
        TrainingRequest(stages=(StageRequest(freeze=True),), augmentation=Augmentation(flip_vertical=True))
    ).stages[0]
    said = resolve(
        TrainingRequest(stages=(StageRequest(freeze=True, views=0),), augmentation=Augmentation(max_rotate=30))
    ).stages[0]

    assert [stage.views for stage in (plain, flipped, said)] == [0, 1, 0]
    assert [stage.sees_plain_view for stage in (plain, flipped, said)] == [True, False, True]
    assert [stage.stored_views for stage in (plain, flipped, said)] == [1, 1, 1]


def test_only_frozen_layers_can_see_the_plain_view() -> None:
    asked = (
        StageRequest(freeze=False, views=0),
        StageRequest(freeze=False, views=0, frozen_blocks=3),
        StageRequest(freeze=True, views=0, train_batch_norm=True),
    )

    assert [stage.sees_plain_view for stage in resolve(TrainingRequest(stages=asked)).stages] == [False, True, False]


def test_stages_alone_make_it_a_custom_recipe() -> None:
    config = resolve(TrainingRequest(stages=(StageRequest(epochs=2), StageRequest(epochs=3))))

    assert config.recipe is Recipe.CUSTOM
    assert [(stage.freeze, stage.epochs) for stage in config.stages] == [(True, 2), (False, 3)]
    assert config.stages[1].max_lr == (3e-5, 3e-4)


def test_what_is_given_wins_over_the_recipe() -> None:
    request = TrainingRequest(
        recipe=Recipe.LESSON_1,
        stages=(StageRequest(freeze=False, max_lr=1e-4), StageRequest(freeze=True, epochs=1)),
        weight_decay=0.0,
        batch_size=16,
    )

    config = resolve(request)

    assert [(stage.freeze, stage.epochs, stage.max_lr) for stage in config.stages] == [
        (False, 2, 1e-4),
        (True, 1, 3e-3),
    ]
    assert (config.weight_decay, config.batch_size) == (0.0, 16)


def test_a_config_survives_being_stored() -> None:
    config = resolve(TrainingRequest(recipe=Recipe.LESSON_1))

    assert TrainingConfig.model_validate_json(config.model_dump_json()) == config


def test_what_is_not_in_the_catalogue_is_refused_with_what_is() -> None:
    with pytest.raises(UnknownArchitecture) as unknown:
        resolve(TrainingRequest(architecture="resnet35"))
    with pytest.raises(UnknownWeights) as no_weights:
        resolve(TrainingRequest(architecture="resnet18", weights="IMAGENET1K_V9"))

    assert unknown.value.details["known"] == list(ARCHITECTURES)
    assert no_weights.value.details["known"] == ["IMAGENET1K_V1"]


def test_a_stage_whose_rate_is_to_be_found_has_one_once_the_search_is_over() -> None:
    stage = resolve(TrainingRequest(stages=(StageRequest(freeze=False, max_lr="find"),))).stages[0]

    assert stage.max_lr == "find"
    assert stage.with_rate((2.5e-5, 2.5e-4)).peak == (2.5e-5, 2.5e-4)


def test_zoom_must_be_in_order() -> None:
    with pytest.raises(ValidationError):
        Augmentation(min_zoom=1.5, max_zoom=1.1)


def test_three_states_are_final() -> None:
    assert [status.value for status in RunStatus if status.is_final] == ["succeeded", "failed", "cancelled"]


def test_every_number_of_a_resolved_config_can_be_asked_for() -> None:
    config = resolve(TrainingRequest(recipe=Recipe.LESSON_1))

    # On how many devices it runs decides no number.
    assert set(TrainingConfig.model_fields) == set(TrainingRequest.model_fields) - {"devices"}
    assert resolve(TrainingRequest.model_validate(config.model_dump(mode="json"))) == config


def test_the_numbers_of_adam_can_be_changed_too() -> None:
    config = resolve(TrainingRequest(recipe=Recipe.LESSON_1, adam_betas=(0.9, 0.999), decay_batch_norm=False))

    assert (config.adam_betas, config.adam_epsilon) == ((0.9, 0.999), 1e-8)
    assert (config.decay_batch_norm, config.last_layer_bias) == (False, True)
