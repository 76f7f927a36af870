import copy

import pytest
import torch
from torch import nn

from backend.domain.inside import Comparison
from worker.engine.inside.changes import comparison_of, first_filters, weight_change
from worker.engine.network.architectures import Classifier, build_head


def network() -> Classifier:
    backbone = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU()))
    return Classifier(backbone, build_head(4, 2, last_layer_bias=False, seed=1)).requires_grad_(False)


@pytest.fixture
def before() -> Classifier:
    return network()


@pytest.fixture
def after(before: Classifier) -> Classifier:
    return copy.deepcopy(before)


def test_a_head_alone_changes_nothing(before: Classifier, after: Classifier) -> None:
    after.head.get_parameter("2.weight").add_(1)

    assert comparison_of(before, after) is Comparison.UNCHANGED


def test_batch_norm_that_learnt_on_is_said_apart(before: Classifier, after: Classifier) -> None:
    after.backbone.get_buffer("0.1.running_mean").add_(1)

    assert comparison_of(before, after) is Comparison.BATCH_NORM


def test_one_weight_makes_a_change(before: Classifier, after: Classifier) -> None:
    after.backbone.get_parameter("0.0.weight")[0, 0, 0, 0] += 1

    assert comparison_of(before, after) is Comparison.CHANGED


def test_the_change_is_the_length_of_the_difference_of_that_before() -> None:
    before, after = (nn.Linear(2, 1).requires_grad_(False) for _ in range(2))
    before.weight.copy_(torch.tensor([[3.0, 4.0]]))
    after.weight.copy_(torch.tensor([[3.0, 5.0]]))

    # The length before is 5, of the difference 1; a bias is left out.
    assert weight_change(before, after) == pytest.approx(0.2)


def test_layers_without_weights_have_no_change() -> None:
    assert weight_change(nn.ReLU(), nn.ReLU()) is None


def test_the_first_convolution_over_rgb_has_the_filters(before: Classifier) -> None:
    found = first_filters(before)

    assert found is not None
    assert found.shape == (4, 3, 3, 3)
