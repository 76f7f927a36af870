import math

import pytest
import torch
from torch import nn

from backend.domain.training import NO_AUGMENTATION, Stage, StageRequest, TrainingConfig, TrainingRequest, resolve
from tests.fixtures.engine import build_tiny
from tests.fixtures.fastai import figures
from worker.engine.network.architectures import Classifier, build, build_head
from worker.engine.network.optim import build_optimizer, set_learning, set_rates, set_training_mode


def tiny_model() -> Classifier:
    return Classifier(build_tiny(None), build_head(8, 3, last_layer_bias=True, seed=1))


def config(**stage: object) -> TrainingConfig:
    request = TrainingRequest(augmentation=NO_AUGMENTATION, stages=(StageRequest.model_validate(stage),))
    return resolve(request)


def stage_of(**stage: object) -> Stage:
    return config(**stage).stages[0]


def learning(model: Classifier) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_only_the_head_learns_in_a_frozen_stage() -> None:
    model = tiny_model()

    set_learning(model, stage_of(freeze=True, train_batch_norm=False))

    assert {name.split(".")[0] for name in learning(model)} == {"head"}


def test_batch_norm_below_the_head_learns_where_the_stage_reports_it() -> None:
    model = tiny_model()

    set_learning(model, stage_of(freeze=True, train_batch_norm=True))

    below = {name for name in learning(model) if name.startswith("backbone")}
    assert below == {"backbone.0.1.weight", "backbone.0.1.bias", "backbone.1.1.weight", "backbone.1.1.bias"}


def test_everything_learns_in_an_unfrozen_stage() -> None:
    model = tiny_model()
    set_learning(model, stage_of(freeze=True))

    set_learning(model, stage_of(freeze=False))

    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(("frozen_blocks", "parts"), [(0, {"0", "1", "head"}), (1, {"1", "head"}), (9, {"head"})])
def test_frozen_blocks_learn_nothing_in_an_unfrozen_stage(frozen_blocks: int, parts: set[str]) -> None:
    model = tiny_model()

    set_learning(model, stage_of(freeze=False, frozen_blocks=frozen_blocks))

    assert {name.removeprefix("backbone.").split(".")[0] for name in learning(model)} == parts


def test_frozen_blocks_keep_their_statistics_where_batch_norm_learns_above_them() -> None:
    model = tiny_model().eval()

    set_training_mode(model, stage_of(freeze=False, frozen_blocks=1, train_batch_norm=True))

    norms = [module.training for module in model.backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms == [False, True]


def test_rates_are_spread_over_all_layer_groups_also_where_the_lowest_ones_are_frozen() -> None:
    model = tiny_model()
    stage = stage_of(freeze=False, frozen_blocks=1, max_lr=(1e-6, 1e-4), warmup=0.25)
    set_learning(model, stage)
    optimizer = build_optimizer(model, stage, config(freeze=False))

    set_rates(optimizer, stage, layer_groups=3, progress=0.25)

    rates = {group["layer_group"]: group["lr"] for group in optimizer.param_groups}
    assert rates == {1: pytest.approx(1e-5), 2: pytest.approx(1e-4)}


@pytest.mark.parametrize(
    ("freeze", "train_batch_norm", "modes"),
    [
        (True, False, (False, False, True)),
        (True, True, (True, True, True)),
        (False, False, (True, False, True)),
        (False, True, (True, True, True)),
    ],
)
def test_modes_of_backbone_its_batch_norm_and_the_head(
    freeze: bool, train_batch_norm: bool, modes: tuple[bool, bool, bool]
) -> None:
    model = tiny_model().eval()

    set_training_mode(model, stage_of(freeze=freeze, train_batch_norm=train_batch_norm))

    norm = next(module for module in model.backbone.modules() if isinstance(module, nn.BatchNorm2d))
    assert (model.backbone.training, norm.training, model.head.training) == modes


@pytest.mark.parametrize(("train_batch_norm", "changes"), [(False, False), (True, True)])
def test_statistics_of_a_frozen_backbone_change_only_if_its_batch_norm_learns(
    train_batch_norm: bool, changes: bool
) -> None:
    model = tiny_model()
    before = {name: tensor.clone() for name, tensor in model.backbone.state_dict().items()}
    stage = stage_of(freeze=True, train_batch_norm=train_batch_norm)
    set_learning(model, stage)
    set_training_mode(model, stage)
    optimizer = build_optimizer(model, stage, config(freeze=True))

    set_rates(optimizer, stage, layer_groups=3, progress=0.25)
    model(torch.rand(4, 3, 32, 32)).sum().backward()
    optimizer.step()

    after = model.backbone.state_dict()
    changed = {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}
    assert bool(changed) is changes
    assert not {name for name in changed if name.endswith("0.weight")}


def test_batch_norm_and_biases_do_not_decay_in_the_second_course() -> None:
    model = tiny_model()
    stage = stage_of(freeze=False)

    groups = build_optimizer(model, stage, config(freeze=False)).param_groups

    assert [(group["layer_group"], group["weight_decay"], len(group["params"])) for group in groups] == [
        (0, 0.01, 1), (0, 0.0, 2), (1, 0.01, 1), (1, 0.0, 2), (2, 0.01, 2), (2, 0.0, 5),
    ]  # fmt: skip


def test_everything_decays_in_the_first_course() -> None:
    model = tiny_model()
    everything = config(freeze=False).model_copy(update={"decay_batch_norm": True})

    groups = build_optimizer(model, stage_of(freeze=False), everything).param_groups

    assert [(group["layer_group"], group["weight_decay"]) for group in groups] == [(0, 0.01), (1, 0.01), (2, 0.01)]


def test_rates_spread_from_the_lowest_group_to_the_head() -> None:
    model = tiny_model()
    stage = stage_of(freeze=False, max_lr=(1e-6, 1e-4), warmup=0.3)
    optimizer = build_optimizer(model, stage, config(freeze=False))

    rate, momentum = set_rates(optimizer, stage, layer_groups=3, progress=0.3)

    rates = {group["layer_group"]: group["lr"] for group in optimizer.param_groups}
    assert rates == pytest.approx({0: 1e-6, 1: 1e-5, 2: 1e-4})
    assert rate == pytest.approx(1e-4)
    assert momentum == pytest.approx(0.85)
    assert optimizer.param_groups[0]["betas"] == (momentum, 0.99)


def test_the_first_step_has_a_twenty_fifth_of_the_rate() -> None:
    model = tiny_model()
    stage = stage_of(freeze=True, max_lr=2.5e-3, start_div=25)
    set_learning(model, stage)
    optimizer = build_optimizer(model, stage, config(freeze=True))

    assert set_rates(optimizer, stage, layer_groups=3, progress=0.0) == pytest.approx((1e-4, 0.95))
    assert {group["layer_group"] for group in optimizer.param_groups} == {2}


def counted(groups: list[list[nn.Parameter]]) -> list[int]:
    return [sum(parameter.numel() for parameter in group) for group in groups]


@pytest.mark.parametrize("name", figures("layer_groups"))
def test_a_frozen_stage_trains_what_fastais_does(name: str) -> None:
    model = build(name, 37, last_layer_bias=False, seed=1)

    set_learning(model, stage_of(freeze=True, train_batch_norm=True))

    learning = [[one for one in group.parameters() if one.requires_grad] for group in model.layer_groups()]
    assert counted(learning) == [group["learning_when_frozen"] for group in figures("layer_groups")[name]]


@pytest.mark.parametrize("name", figures("layer_groups"))
def test_the_same_parameters_are_spared_from_decay_as_by_fastai(name: str) -> None:
    model = build(name, 37, last_layer_bias=False, seed=1)
    stage = stage_of(freeze=False)

    groups = build_optimizer(model, stage, config(freeze=False)).param_groups

    spared = [group["params"] for group in groups if group["weight_decay"] == 0.0]
    assert counted(spared) == [group["not_decaying"] for group in figures("layer_groups")[name]]


def test_ten_steps_move_a_vector_as_fastais_adam_does() -> None:
    vector = nn.Parameter(torch.tensor([1.0, -2.0, 0.5, 0.0]))
    head = nn.Sequential()
    head.register_parameter("vector", vector)
    model = Classifier(nn.Sequential(nn.Sequential()), head)
    fastai = figures("adam")
    settings = config(freeze=False)
    optimizer = build_optimizer(model, stage_of(freeze=False), settings)

    (group,) = optimizer.param_groups
    assert {"sqr_mom": group["betas"][1], "eps": group["eps"], "wd": group["weight_decay"]} == fastai["hypers"]
    for place, step in enumerate(fastai["steps"]):
        vector.grad = torch.tensor([math.sin(place + number) for number in range(4)])
        group["lr"], group["betas"] = step["rate"], (step["momentum"], group["betas"][1])
        optimizer.step()
        assert vector.detach().tolist() == pytest.approx(step["vector"], rel=1e-6, abs=1e-6)


def test_the_optimizers_rates_and_momentum_follow_fastais_fit_step_by_step() -> None:
    model = tiny_model()
    stage = stage_of(freeze=False, epochs=4, max_lr=(1e-5, 1e-3), train_batch_norm=True)
    set_learning(model, stage)
    optimizer = build_optimizer(model, stage, config(freeze=False))
    steps = figures("schedules")["fit_one_cycle(4, slice(1e-5, 1e-3))"]

    for place, step in enumerate(steps):
        _, momentum = set_rates(optimizer, stage, layer_groups=3, progress=place / len(steps))
        rates = {group["layer_group"]: group["lr"] for group in optimizer.param_groups}
        assert [rates[group] for group in range(3)] == pytest.approx(step["rates"], rel=1e-5)
        assert momentum == pytest.approx(step["momentum"], rel=1e-6)
