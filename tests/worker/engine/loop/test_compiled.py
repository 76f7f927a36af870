from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.backends.common import aot_autograd

from backend.domain.architectures import Architecture
from backend.domain.events import Note, OnEvent, Phase, PhaseStarted
from backend.domain.training import StageRequest, TrainingRequest, resolve
from tests.fixtures.engine import Listener, build_tiny, frozen, order_in, plain_config, unfrozen
from worker.engine.hardware.memory import MemoryLimits
from worker.engine.loop import compiled
from worker.engine.loop.compiled import compile_forward
from worker.engine.loop.context import CompileStatus
from worker.engine.loop.run import StageRun
from worker.engine.loop.train import train_one_epoch
from worker.engine.network.architectures import Classifier, build_head
from worker.engine.network.optim import build_optimizer, set_learning
from worker.engine.order import NeverStop
from worker.engine.recipe import train

SIDE = 16
CPU = torch.device("cpu")
GPU = torch.device("cuda:0")
SIZES = (8, 8, 5, 2)


class Drawn:
    """Batches of several sizes, the same for everybody."""

    def of(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        for step, size in enumerate(SIZES[first_step:], first_step):
            random = torch.Generator().manual_seed(step)
            inputs = torch.randn(size, 3, SIDE, SIDE, generator=random)
            yield inputs.contiguous(memory_format=torch.channels_last), torch.arange(size) % 3


def fresh_run(*, device: torch.device = CPU, micro_batch: int = 0, **given: Any) -> StageRun:  # Any: of several types
    request = StageRequest(**{"freeze": False, "epochs": 1, "max_lr": 1e-2, **given})
    config = resolve(TrainingRequest(stages=(request,)))
    stage = config.stages[0]
    torch.manual_seed(1)
    model = Classifier(build_tiny(None), build_head(8, 3, last_layer_bias=True, seed=1))
    model = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # as in devices.to_device
    set_learning(model, stage)
    return StageRun(
        number=0,
        stage=stage,
        model=model,
        forward=model,
        batches=Drawn(),
        optimizer=build_optimizer(model, stage, config),
        steps_per_epoch=len(SIZES),
        device=device,
        autocast=None,
        scaler=torch.amp.GradScaler(device.type, enabled=False),
        limits=MemoryLimits(8, device, micro_batch=micro_batch),
    )


def with_compiled_forward(run: StageRun, on_event: OnEvent, *, backend: compiled.Compiler = "inductor") -> StageRun:
    compile_forward(run, SIDE, on_event, status=CompileStatus(), backend=backend)
    return run


def learnt(run: StageRun) -> dict[str, Tensor]:
    train_one_epoch(run, on_event=Listener(), stop=NeverStop())
    return dict(run.model.state_dict())


def counting() -> tuple[Callable[[Any, list[Tensor]], Any], list[int]]:  # Any: torch's graphs
    """A compiler that changes nothing, and the number of nodes of each graph it was given."""
    graphs: list[int] = []

    def take(graph: Any, inputs: list[Tensor]) -> Any:
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    return take, graphs


def broken(graph: nn.Module, inputs: list[Tensor]) -> Callable[..., Tensor]:
    raise RuntimeError("no compiler is installed")


@pytest.mark.parametrize(
    "given",
    [{}, {"frozen_blocks": 1}, {"train_batch_norm": False}, {"freeze": True, "train_batch_norm": True}],
    ids=lambda given: " ".join(given) or "all layers",
)
def test_a_compiled_stage_learns_the_same_weights_under_the_same_names(given: dict[str, Any]) -> None:
    expected, listener = learnt(fresh_run(**given)), Listener()

    found = learnt(with_compiled_forward(fresh_run(**given), listener, backend="aot_eager"))

    assert [event.phase for event in listener.of(PhaseStarted)] == ["compile"]
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_trying_the_compiler_leaves_weights_statistics_gradients_and_chance_as_they_were() -> None:
    run = fresh_run()
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    torch.manual_seed(5)
    chance = torch.get_rng_state()

    with_compiled_forward(run, Listener(), backend="eager")

    assert all(torch.equal(tensor, before[name]) for name, tensor in run.model.state_dict().items())
    assert all(parameter.grad is None for parameter in run.model.parameters())
    assert torch.equal(torch.get_rng_state(), chance)


def test_last_batches_and_smaller_parts_need_no_graph_of_their_own() -> None:
    take, graphs = counting()
    expected = learnt(fresh_run(micro_batch=3))

    found = learnt(with_compiled_forward(fresh_run(micro_batch=3), Listener(), backend=take))

    assert len(graphs) == 1
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_without_a_compiler_it_trains_as_it_is_and_shows_why_once() -> None:
    listener = Listener()
    run = fresh_run()

    with_compiled_forward(run, listener, backend=broken)

    assert run.forward is run.model
    assert [event.phase for event in listener.of(PhaseStarted)] == ["compile"]
    assert "no compiler is installed" in listener.of(Note)[0].text


def test_a_way_back_that_can_not_be_compiled_is_found_out_before_the_first_step() -> None:
    listener = Listener()
    backend = aot_autograd(fw_compiler=lambda graph, inputs: graph.forward, bw_compiler=broken)
    run = fresh_run()

    with_compiled_forward(run, listener, backend=backend)

    assert run.forward is run.model
    assert "no compiler is installed" in listener.of(Note)[0].text


def test_what_fails_later_continues_as_it_is_and_reports_it_once() -> None:
    listener = Listener()
    run = with_compiled_forward(fresh_run(), Listener(), backend="eager")
    assert isinstance(run.forward, compiled._UntilItFails)

    def fails(inputs: Tensor) -> Tensor:
        raise RuntimeError("a kernel can't be launched")

    found = learnt(replace(run, forward=compiled._UntilItFails(fails, run.forward.plain, listener, CompileStatus())))

    expected = learnt(fresh_run())
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert [event.text for event in listener.of(Note)] == [
        "Compiling the network failed; training continues without it: a kernel can't be launched"
    ]


def test_too_little_memory_is_no_failure_of_the_compiler() -> None:
    def fails(inputs: Tensor) -> Tensor:
        raise torch.OutOfMemoryError

    forward = compiled._UntilItFails(fails, lambda inputs: inputs, Listener(), CompileStatus())

    with pytest.raises(torch.OutOfMemoryError):
        forward(torch.zeros(1))
    assert not forward.status.has_failed


@pytest.mark.parametrize(
    ("given", "images", "pays"),
    [
        ({}, 600_000, True),
        ({}, 590_000, False),
        ({"device": CPU}, 600_000, False),
        ({"freeze": True, "train_batch_norm": False}, 600_000, False),
        ({"freeze": True, "train_batch_norm": True}, 600_000, True),
        ({"size": 112}, 600_000, False),
        ({"size": 112}, 2_400_000, True),
        ({"epoch": 1}, 600_000, False),
    ],
)
def test_only_long_stages_in_which_the_network_moves_on_a_gpu_are_compiled(
    given: dict[str, Any], images: int, pays: bool
) -> None:
    device, size, epoch = given.pop("device", GPU), given.pop("size", 224), given.pop("epoch", 0)
    run = replace(fresh_run(epochs=10, **given), device=device, steps_per_epoch=images // 80)
    run.cursor.epoch = epoch

    assert compiled._pays(run, size) is pays


def test_a_head_alone_is_never_compiled() -> None:
    run = fresh_run(epochs=1000)

    assert not compiled._pays(replace(run, device=GPU, steps_per_epoch=10_000, forward=run.model.head), 224)


def test_a_training_compiles_where_it_pays_unless_it_is_asked_not_to(
    tmp_path: Path, weights_folder: Path, tiny: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_pays", lambda run, size: not run.stage.freeze)
    monkeypatch.setattr(compiled, "compile_forward", partial(compile_forward, backend="eager"))
    config = plain_config(frozen(epochs=1), unfrozen(epochs=1, max_lr=1e-3))
    errors, compiles = [], []

    for wanted in (True, False):
        order, listener = order_in(tmp_path / str(wanted), weights_folder, config, compiles=wanted), Listener()
        errors.append([stage.valid_loss for stage in train(order, on_event=listener).stages])
        compiles.append([event.phase for event in listener.of(PhaseStarted)].count(Phase.COMPILE))

    assert compiles == [1, 0]
    assert errors[0] == errors[1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpu_learns_nearly_the_same_compiled() -> None:
    def no_chance(run: StageRun) -> StageRun:
        # What a compiler makes of dropout are other numbers.
        for layer in run.model.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
        return replace(run, batches=OnGpu())

    class OnGpu(Drawn):
        def of(self, epoch: int, first_step: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
            return ((inputs.to(GPU), targets.to(GPU)) for inputs, targets in super().of(epoch, first_step))

    listener = Listener()
    expected = learnt(no_chance(fresh_run(device=GPU)))

    found = learnt(with_compiled_forward(no_chance(fresh_run(device=GPU)), listener))

    assert [event.phase for event in listener.of(PhaseStarted)] == ["compile"]
    assert all(torch.allclose(found[name], tensor, atol=1e-3) for name, tensor in expected.items())
