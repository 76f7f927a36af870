import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from backend.domain.events import StepFinished
from backend.domain.training import Stage, StageRequest, TrainingRequest, resolve
from tests.fixtures.engine import Listener, StopNow, build_tiny
from worker.engine.hardware.memory import MemoryLimits
from worker.engine.loop.run import Cursor, NotFinite, SmoothedLoss, StageRun
from worker.engine.loop.train import train_one_epoch
from worker.engine.network.architectures import Classifier, build_head
from worker.engine.network.optim import build_optimizer, set_learning
from worker.engine.order import NeverStop, Stopped


class Repeated:
    """One batch, so many times an epoch."""

    def __init__(self, inputs: Tensor, targets: Tensor, times: int) -> None:
        self.batch, self.times = (inputs, targets), times

    def of(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        return iter([self.batch] * (self.times - first_step))


def run_on(inputs: Tensor, *, times: int, epochs: int = 1, max_lr: float | tuple[float, float] = 1e-2) -> StageRun:
    config = resolve(TrainingRequest(stages=(StageRequest(freeze=False, epochs=epochs, max_lr=max_lr),)))
    stage: Stage = config.stages[0]
    torch.manual_seed(1)
    model = Classifier(build_tiny(None), build_head(8, 3, last_layer_bias=True, seed=1))
    set_learning(model, stage)
    return StageRun(
        number=0,
        stage=stage,
        model=model,
        forward=model,
        batches=Repeated(inputs, torch.arange(len(inputs)) % 3, times),
        optimizer=build_optimizer(model, stage, config),
        steps_per_epoch=times,
        device=torch.device("cpu"),
        autocast=None,
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        limits=MemoryLimits(12),
    )


def test_it_can_learn_one_batch_by_heart() -> None:
    torch.manual_seed(3)
    run = run_on(torch.randn(12, 3, 32, 32), times=200)

    train_one_epoch(run, on_event=Listener(), stop=NeverStop())

    with torch.no_grad():
        logits = run.model.eval()(run.batches.of(0).__next__()[0])
    assert float(torch.nn.functional.cross_entropy(logits, torch.arange(12) % 3)) < 0.05


def test_it_tells_every_loss_once_and_returns_the_last_rate() -> None:
    listener = Listener()
    run = run_on(torch.zeros(4, 3, 32, 32), times=5, epochs=2)

    run.cursor.epoch = 1

    rate = train_one_epoch(run, on_event=listener, stop=NeverStop())

    events = listener.of(StepFinished)
    assert sum(len(event.losses) for event in events) == 5
    assert (events[-1].step, events[-1].steps, events[-1].learning_rate) == (10, 10, rate)
    assert run.loss.steps == 5


def test_it_stops_before_the_first_step() -> None:
    run = run_on(torch.zeros(4, 3, 32, 32), times=5)
    before = run.model.head.get_parameter("2.weight").clone()

    with pytest.raises(Stopped):
        train_one_epoch(run, on_event=Listener(), stop=StopNow())

    assert torch.equal(run.model.head.get_parameter("2.weight"), before)


@pytest.mark.parametrize("max_lr", [1e-2, (1e-4, 1e-2)])
def test_a_loss_that_is_no_number_stops_before_its_step(max_lr: float | tuple[float, float]) -> None:
    run = run_on(torch.full((4, 3, 32, 32), math.nan), times=2, max_lr=max_lr)
    before = [parameter.clone() for parameter in run.model.parameters()]

    with pytest.raises(NotFinite):
        train_one_epoch(run, on_event=Listener(), stop=NeverStop())

    assert all(torch.equal(*pair) for pair in zip(before, run.model.parameters(), strict=True))
    assert run.cursor == Cursor(0, 0)


def test_the_smoothed_loss_is_fastais() -> None:
    loss = SmoothedLoss()
    assert math.isnan(loss.value)

    loss.add(3.0)
    assert loss.value == pytest.approx(3.0)

    loss.add(1.0)
    # (0.98 x 0.02 x 3 + 0.02 x 1) / (1 - 0.98 ** 2)
    assert loss.value == pytest.approx(1.98990, abs=1e-5)
