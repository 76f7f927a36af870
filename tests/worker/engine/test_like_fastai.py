"""Whole trainings beside fastai's own, step by step: network, optimizer, schedule and loop together."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backend.domain.events import StepFinished
from backend.domain.training import StageRequest, TrainingConfig, TrainingRequest, resolve
from tests.fixtures.engine import Listener, build_tiny
from tests.fixtures.fastai import figures
from worker.engine.hardware.memory import MemoryLimits
from worker.engine.loop.context import Training
from worker.engine.loop.lr_finder import search
from worker.engine.loop.run import SmoothedLoss, StageRun
from worker.engine.loop.train import train_one_epoch
from worker.engine.network.architectures import Classifier, build_head
from worker.engine.network.optim import build_optimizer, set_learning
from worker.engine.order import NeverStop


class Waves:
    """The batches of fastai's figures: eight images of 16 pixels each, by formula."""

    def __init__(self, steps: int) -> None:
        count = steps * 8
        waves = torch.sin(0.37 * torch.arange(count * 3 * 16 * 16, dtype=torch.float64) ** 1.1)
        images, targets = waves.float().reshape(steps, 8, 3, 16, 16), torch.arange(count).reshape(steps, 8) % 3
        self.batches = list(zip(images, targets, strict=True))

    def of(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self.batches[first_step:])


def model_by_formula() -> Classifier:
    """The network of fastai's figures: weights by formula, and no dropout, whose chance would have to be equal too."""
    model = Classifier(build_tiny(None), build_head(8, 3, last_layer_bias=False, seed=1))
    with torch.no_grad():
        for place, weight in enumerate(parameter for parameter in model.parameters() if parameter.ndim > 1):
            wave = torch.sin((1.7 + place) * torch.arange(weight.numel(), dtype=torch.float64))
            weight.copy_((wave * (2 / weight[0].numel()) ** 0.5).float().reshape(weight.shape))
    for layer in model.head:
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return model


def run_of(model: Classifier, config: TrainingConfig, number: int, batches: Waves) -> StageRun:
    stage = config.stages[number]
    set_learning(model, stage)
    return StageRun(
        number=number,
        stage=stage,
        model=model,
        forward=model,
        batches=batches,
        optimizer=build_optimizer(model, stage, config),
        steps_per_epoch=len(batches.batches),
        device=torch.device("cpu"),
        autocast=None,
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        limits=MemoryLimits(8),
    )


def config_of(*stages: dict[str, Any]) -> TrainingConfig:
    requests = [StageRequest.model_validate({"train_batch_norm": True, **stage}) for stage in stages]
    return resolve(TrainingRequest(stages=tuple(requests)))


# fastai's layers are numbered; its head begins with pooling and flattening and has no dropout here.
HEAD_OF_FASTAI = {"1.2": "head.0", "1.3": "head.2", "1.5": "head.4", "1.6": "head.6"}


def our_name(name: str) -> str:
    if name.startswith("0."):
        return f"backbone.{name.removeprefix('0.')}"
    layer, _, kind = name.rpartition(".")
    return f"{HEAD_OF_FASTAI[layer]}.{kind}"


def digest(tensor: Tensor) -> list[float]:
    """A few numbers that change when any weight does."""
    flat = tensor.double().flatten()
    wave = torch.cos(torch.arange(flat.numel(), dtype=torch.float64))
    return [float(flat.sum()), float(flat.abs().sum()), float((flat * wave).sum())]


def validation_loss(run: StageRun) -> float:
    run.model.eval()
    with torch.no_grad():
        losses = [F.cross_entropy(run.model(images), targets) for images, targets in run.batches.of(0)]
    return float(torch.stack(losses).mean())


@pytest.mark.parametrize("name", figures("training"))
def test_losses_weights_and_statistics_are_fastais(name: str) -> None:
    fastai = figures("training")[name]
    config, model, listener = config_of(*fastai["stages"]), model_by_formula(), Listener()

    for number, stage in enumerate(config.stages):
        run, validated = run_of(model, config, number, Waves(3)), []
        for epoch in range(stage.epochs):
            run.cursor.epoch, run.cursor.step = epoch, 0
            train_one_epoch(run, on_event=listener, stop=NeverStop())
            validated.append(validation_loss(run))
        learning = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        assert learning == {our_name(name) for name in fastai["learning"][number]}
        assert validated == pytest.approx(fastai["validation"][number], abs=1e-5)
        assert run.loss.value == pytest.approx(fastai["smoothed"][number][-1], abs=1e-5)

    losses = [loss for event in listener.of(StepFinished) for loss in event.losses]
    assert losses == pytest.approx(fastai["losses"], abs=1e-5)
    ours = model.state_dict()
    assert set(ours) == {our_name(name) for name in fastai["weights"]}
    for weight, reported in fastai["weights"].items():
        # Batch norm's statistics are among them.
        assert digest(ours[our_name(weight)]) == pytest.approx(reported, rel=5e-5, abs=5e-5), weight


def test_a_search_of_the_rate_sees_fastais_curve_and_leaves_the_weights_alone() -> None:
    fastai = figures("lr_find_steps")
    config = config_of({"freeze": False, "max_lr": 1e-3})
    run = run_of(model_by_formula(), config, 0, Waves(7))
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    training = SimpleNamespace(
        order=SimpleNamespace(config=config, starts_from=None),
        images=SimpleNamespace(train=range(56)),
        on_event=Listener(),
        stop=NeverStop(),
    )

    curve, _ = search(cast(Training, training), run, seeds=1)

    after = run.model.state_dict()
    assert fastai["changed"] == [name for name, old in before.items() if not torch.equal(old, after[name])]
    reported = fastai["smoothed"][10:-5]
    assert curve.learning_rates[:75] == pytest.approx(fastai["rates"][10:85], rel=1e-6)
    assert curve.losses[:60] == pytest.approx(reported[:60], rel=1e-4)
    # Where the loss bursts at rates above 1, the last digit of a step grows with every further one, and differs
    # from processor to processor: so does the step at which four times the best is reached, by one.
    assert curve.losses[:70] == pytest.approx(reported[:70], rel=0.1)
    assert len(curve.losses) == pytest.approx(len(reported), abs=1)


def test_the_smoothed_loss_is_fastais_at_every_step() -> None:
    fastai = figures("lr_find_steps")
    loss, smoothed = SmoothedLoss(), []

    for raw in fastai["losses"]:
        loss.add(raw)
        smoothed.append(loss.value)

    assert smoothed == pytest.approx(fastai["smoothed"], rel=1e-5)
