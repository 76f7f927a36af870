from dataclasses import replace

import pytest

from backend.domain.architectures import ARCHITECTURES
from backend.domain.catalogue import remember
from backend.domain.training import Recipe, StageRequest, TrainingConfig, TrainingRequest, resolve
from backend.training.forecast.work import Counts, Work, learning_share, relative_cost, work_items

COUNTS = Counts(train=80, valid=20, test=10)


def parts(config: TrainingConfig, **given: frozenset[int]) -> list[tuple[str, float, int | None]]:
    """Kind, amount and epoch of each item."""
    return [(item.work.value, item.amount, item.epoch) for item in work_items(config, COUNTS, **given)]


def test_it_counts_the_pictures_of_each_side() -> None:
    counts = {"bear": {"train": 30, "valid": 8, "test": 0}, "cat": {"train": 50, "valid": 12, "test": 10}}

    assert Counts.of(counts) == COUNTS


def test_a_frozen_backbone_computes_each_view_once() -> None:
    config = resolve(TrainingRequest(stages=(StageRequest(freeze=True, epochs=3, views=2),)))

    assert parts(config) == [
        ("start", 1, None),
        ("read", 110, None),
        ("prepare", 1, None),
        ("features", 180, None),
        ("head", 80, 0),
        ("head", 80, 1),
        ("head", 80, 2),
        ("answer", 10, None),
        ("export", 1, None),
    ]


def test_what_lies_on_disk_is_not_computed_again() -> None:
    config = resolve(TrainingRequest(stages=(StageRequest(freeze=True, epochs=3, views=2),)))

    assert parts(config, kept_stages=frozenset({0}))[1] == ("read", 10, None)
    assert [kind for kind, _, _ in parts(config, kept_stages=frozenset({0}))] == [
        "start", "read", "head", "head", "head", "answer", "export"
    ]  # fmt: skip


def test_the_lesson_learns_with_the_whole_network_in_every_epoch() -> None:
    config = resolve(TrainingRequest(recipe=Recipe.LESSON_1))

    assert [kind for kind, _, _ in parts(config)] == [
        "start", "read", *("norms", "answer") * 4, "answer", "export", *("move", "answer") * 2, "answer", "export"
    ]  # fmt: skip


def test_a_search_tries_a_hundred_batches() -> None:
    config = resolve(TrainingRequest(batch_size=16, stages=(StageRequest(freeze=False, epochs=1, max_lr="find"),)))

    assert parts(config)[2] == ("move", 1600, None)


def test_mixed_answers_are_asked_for_once_a_view() -> None:
    config = resolve(TrainingRequest(test_time_views=4))

    assert parts(config)[-2] == ("answer", 90, None)


@pytest.mark.parametrize(("blocks", "share"), [(0, 1.0), (3, 0.23), (5, 0.03)])
def test_frozen_blocks_make_learning_cheaper(blocks: int, share: float) -> None:
    stage = resolve(TrainingRequest(stages=(StageRequest(freeze=False, frozen_blocks=blocks),))).stages[0]

    assert learning_share(ARCHITECTURES["resnet18"], stage) == pytest.approx(share, abs=0.005)


def test_frozen_layers_below_compute_each_view_once() -> None:
    stage = StageRequest(freeze=False, epochs=2, frozen_blocks=3, views=1)
    config = resolve(TrainingRequest(architecture="resnet18", stages=(stage,)))

    found = [(kind, round(amount, 1), epoch) for kind, amount, epoch in parts(config)[2:-2]]

    assert found == [
        ("below", 12, None),
        ("below", 48, 0),
        ("move", 18.5, 0),
        ("answer", 8, 0),
        ("move", 18.5, 1),
        ("answer", 8, 1),
    ]


def test_the_cost_of_networks_is_what_was_measured_of_them() -> None:
    assert relative_cost("resnet18", Work.ANSWER) == pytest.approx(3.6)
    assert relative_cost("resnet18", Work.MOVE) == pytest.approx(12.6)
    assert relative_cost("efficientnet-lite0", Work.FEATURES) == pytest.approx(0.8775)


def test_a_network_that_nobody_measured_costs_by_its_operations_and_activations() -> None:
    remember(replace(ARCHITECTURES["resnet34"], name="drawn_34.a1", gflops=7.34, activations=3_740_000))

    # Measured: 6.0 for the same network of the catalogue.
    assert relative_cost("drawn_34.a1", Work.ANSWER) == pytest.approx(7.1, abs=0.05)
    assert relative_cost("drawn_34.a1", Work.FEATURES) == pytest.approx(0.8 * 7.1, abs=0.05)
