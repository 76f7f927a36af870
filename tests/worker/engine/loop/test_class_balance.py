"""Classes with unequal numbers of images."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from backend.domain.events import EpochFinished
from backend.domain.training import ClassBalance
from tests.fixtures.engine import Listener, frozen, order_in, tiny_config
from worker.engine.data.batches import EpochOrder, batches_of_epoch
from worker.engine.loop.class_balance import class_weights
from worker.engine.loop.run import Criterion
from worker.engine.recipe import train

UNEQUAL = [0] * 12 + [1] * 6 + [2] * 2


def test_a_mistake_counts_the_more_the_rarer_its_class() -> None:
    # scikit-learn 1.5, compute_class_weight("balanced"): 20 / (3 x 12), 20 / (3 x 6), 20 / (3 x 2)
    assert class_weights(UNEQUAL, 3) == pytest.approx([0.55556, 1.11111, 3.33333], abs=1e-5)


def test_weights_are_one_in_the_mean_over_images() -> None:
    weights = class_weights(UNEQUAL, 3)

    assert np.mean([weights[target] for target in UNEQUAL]) == pytest.approx(1.0)


def test_a_class_without_images_counts_one() -> None:
    assert class_weights([0, 0, 2], 3) == pytest.approx([0.75, 1.0, 1.5])


def test_the_loss_is_cross_entropy_added_up() -> None:
    logits, targets = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])

    # ln(1 + e^-2) and ln(1 + e^1)
    assert float(Criterion()(logits, targets)) == pytest.approx(0.126928 + 1.313262, abs=1e-5)


def test_the_loss_weighs_classes_and_smooths_labels_as_torch_does() -> None:
    torch.manual_seed(1)
    logits, targets = torch.randn(6, 3), torch.arange(6) % 3
    weights = torch.tensor([0.5, 1.0, 2.0])

    mine = Criterion(weights, 0.1)(logits, targets) / weights[targets].sum()

    assert float(mine) == pytest.approx(float(F.cross_entropy(logits, targets, weight=weights, label_smoothing=0.1)))


def drawn(epoch: int, seed: int = 1) -> list[int]:
    batches = batches_of_epoch(20, 4, seed=seed, stage=0, epoch=epoch, balanced_by=UNEQUAL)
    return [place for batch in batches for place in batch]


def test_every_class_is_drawn_equally_often_and_all_draws_are_as_many_as_images() -> None:
    times = Counter(UNEQUAL[place] for place in drawn(0))

    assert sorted(times.values()) == [6, 7, 7]


def test_within_a_class_no_image_comes_again_before_all_others_came() -> None:
    places = Counter(drawn(0))

    assert {places[place] for place in range(12)} == {0, 1}
    assert all(places[place] in (1, 2) for place in range(12, 18))
    assert all(places[place] in (3, 4) for place in (18, 19))


def test_the_draw_is_decided_by_seed_and_epoch() -> None:
    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)
    assert drawn(0) != drawn(0, seed=2)


def test_an_image_that_comes_again_is_seen_differently() -> None:
    order = EpochOrder(20, 4, seed=1, stage=0, balanced_by=UNEQUAL)
    order.epoch = 5

    keys = [key for batch in order for key in batch]

    assert len(set(keys)) == 20
    assert {view % 1000 for view, _ in keys} == {5}


def test_an_order_begins_at_a_step_as_it_would_go_on() -> None:
    order = EpochOrder(20, 4, seed=1, stage=0, balanced_by=UNEQUAL)
    whole = list(order)

    order.first_step = 3

    assert list(order) == whole[3:]
    assert len(order) == 2


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("balance", list(ClassBalance))
def test_each_way_trains(balance: ClassBalance, tmp_path: Path, weights_folder: Path) -> None:
    listener = Listener()
    config = tiny_config(frozen(1), class_balance=balance, label_smoothing=0.1)

    train(order_in(tmp_path, weights_folder, config), on_event=listener)

    assert len(listener.of(EpochFinished)) == 1
