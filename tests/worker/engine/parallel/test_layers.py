"""Layers that see the whole batch: with all of its rows in one process they are the plain ones."""

import copy

import pytest
import torch
from torch import Tensor, nn

from worker.engine.network import architectures
from worker.engine.network.architectures import Classifier
from worker.engine.parallel.layers import share_layers
from worker.engine.parallel.ranks import OutOfMemoryElsewhere, Share

NETWORKS = ["resnet18", "efficientnet-lite0"]


class Nobody:
    """The other processes, of which there are none."""

    def __init__(self, *, is_out_of_memory: bool = False) -> None:
        self.is_out_of_memory = is_out_of_memory

    def any(self, is_so: bool) -> bool:
        return is_so or self.is_out_of_memory

    def sum(self, value: Tensor) -> Tensor:
        return value.clone()


def network(name: str) -> Classifier:
    return architectures.build(name, 3, last_layer_bias=True, seed=1)


def gradients(model: nn.Module, inputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    torch.manual_seed(5)
    model.train()
    answers = model(inputs)
    (answers**2).sum().backward()
    return answers.detach(), {name: one.grad for name, one in model.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("name", NETWORKS)
def test_with_all_rows_they_answer_and_learn_as_the_plain_ones(name: str) -> None:
    plain = network(name)
    shared = copy.deepcopy(plain)
    share_layers(shared, Nobody(), lambda: Share((6,)))
    inputs = torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(3))

    expected, expected_gradients = gradients(plain, inputs)
    found, found_gradients = gradients(shared, inputs)

    # Through fifty layers of batch norm on six images what is rounded grows.
    assert torch.allclose(found, expected, atol=1e-3)
    assert list(found_gradients) == list(expected_gradients)
    difference = torch.cat([(found_gradients[key] - one).flatten() for key, one in expected_gradients.items()])
    assert float(difference.norm()) < 1e-3 * float(
        torch.cat([one.flatten() for one in expected_gradients.values()]).norm()
    )
    for key, tensor in plain.state_dict().items():
        assert torch.allclose(shared.state_dict()[key], tensor, rtol=1e-3, atol=1e-4), key


@pytest.mark.parametrize("name", NETWORKS)
def test_they_keep_their_names_and_a_copy_of_the_network_can_be_made(name: str) -> None:
    plain, shared = network(name), network(name)
    share_layers(shared, Nobody(), lambda: Share((6,)))

    assert str(shared) == str(plain)
    assert list(shared.state_dict()) == list(plain.state_dict())
    assert str(copy.deepcopy(shared)) == str(plain)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_process_without_rows_takes_part_with_gradients_of_zero(name: str) -> None:
    model = network(name)
    # The statistics are those of the other's rows.
    share_layers(model, With(torch.tensor(4.0)), lambda: Share((4, 0), 1))

    answers, found = gradients(model, torch.empty(0, 3, 64, 64))

    assert answers.shape == (0, 3)
    assert set(found) == {parameter for parameter, _ in model.named_parameters()}
    assert all(float(gradient.abs().sum()) == 0 for gradient in found.values())


class With(Nobody):
    """Another process with so many rows, all of whose numbers are one."""

    def __init__(self, rows: Tensor) -> None:
        super().__init__()
        self.rows = rows

    def sum(self, value: Tensor) -> Tensor:
        return value + self.rows


def test_dropout_takes_the_rows_of_the_mask_of_the_whole_batch() -> None:
    model = nn.Sequential(nn.Dropout(0.5)).train()
    torch.manual_seed(9)
    whole = model(torch.ones(7, 50))

    share_layers(model, Nobody(), lambda: Share((4, 3), 1))
    torch.manual_seed(9)
    last_rows = model(torch.ones(3, 50))

    assert torch.equal(last_rows, whole[4:])


def test_batch_norm_tells_that_another_process_ran_out_of_memory() -> None:
    model = nn.Sequential(nn.BatchNorm1d(4)).train()
    share_layers(model, Nobody(is_out_of_memory=True), lambda: Share((2, 2), 0))

    with pytest.raises(OutOfMemoryElsewhere):
        model(torch.ones(2, 4))
