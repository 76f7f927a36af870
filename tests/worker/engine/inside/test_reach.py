import torch
from torch import Tensor, nn

from backend.domain.inside import Box
from worker.engine.inside.positions import Positions
from worker.engine.inside.reach import Reach, measured, of_token


def ones(size: int, stride: int) -> nn.Conv2d:
    """A convolution that adds up all that it meets, padded as usual."""
    layer = nn.Conv2d(3, 3, size, stride=stride, padding=size // 2, bias=False).requires_grad_(False)
    layer.weight.fill_(1)
    return layer


def reach_of(*layers: nn.Module, view: int = 32) -> Reach:
    network = nn.Sequential(*layers)

    def run(images: Tensor) -> Positions:
        output = network(images)
        return Positions(output.flatten(2), output.shape[2], output.shape[3], has_tokens=False)

    return measured(run, torch.ones(2, 3, view, view))


def test_a_convolution_reaches_its_own_size_around_each_position() -> None:
    found = reach_of(ones(3, 2))

    assert (found.stride, found.start, found.side) == ((2, 2), (-1, -1), 3)
    assert found.box(8, 5) == Box(left=9, top=15, right=12, bottom=18)


def test_at_the_border_the_box_ends_and_the_square_does_not() -> None:
    found = reach_of(ones(3, 2))

    assert found.square(0, 0) == Box(-1, -1, 2, 2)
    assert found.box(0, 0) == Box(0, 0, 2, 2)
    assert found.box(15, 15) == Box(29, 29, 32, 32)


def test_layers_on_layers_reach_further() -> None:
    # 3 + 2 * 2 = 7 pixels.
    found = reach_of(ones(3, 2), ones(3, 2))

    assert (found.stride, found.side) == ((4, 4), 7)
    assert found.start == (-3, -3)
    assert found.box(4, 4) == Box(13, 13, 20, 20)


def test_what_hardly_counts_is_left_out() -> None:
    layer = ones(7, 1)
    layer.weight.fill_(0.01)
    layer.weight[:, :, 2:5, 2:5] = 1

    found = reach_of(layer)

    assert (found.start, found.side) == ((-1, -1), 3)


def test_where_nothing_is_passed_on_the_whole_view_is_shown() -> None:
    dead = ones(3, 1)
    dead.weight.fill_(0)

    assert reach_of(dead, view=8).side == 8


def test_a_token_has_its_own_patch_and_its_neighbours() -> None:
    found = of_token(14, 224)

    assert found.square(0, 0) == Box(-16, -16, 32, 32)
    assert found.box(5, 7) == Box(left=96, top=64, right=144, bottom=112)
