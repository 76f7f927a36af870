"""The forward pass of a network that moves, compiled where that pays: in long stages on a GPU.

Only what runs the steps is compiled; the network itself, its names and its states stay what they are.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor

from backend.domain.events import OnEvent, PhaseStarted
from worker.engine.hardware.memory import MemoryLimits, is_out_of_memory
from worker.engine.loop.context import Training
from worker.engine.loop.lr_finder import left_as_it_was
from worker.engine.loop.run import StageRun
from worker.engine.loop.step import gradients
from worker.engine.network.optim import set_training_mode

WORTH_IT: Final = 600_000
"""Images of 224 pixels that a stage must still learn from.

Reckoned and not measured, as there was no GPU: a minute of compiling, a thousand images a second, a tenth of it saved.
"""

_TRIED_WITH: Final = 8
"""Images of the first try; one graph then serves any number from two on."""

_TOLD: Final = 200
"""Letters of a compiler's complaint that are told: it may go on for pages."""

Forward = Callable[[Tensor], Tensor]
"""As ``StageRun.forward``."""

Compiler = str | Callable[..., Any]
"""The name of one of torch's compilers, or what takes a graph and example inputs; Any: torch's own kinds."""


def compiled_where_it_pays(training: Training, run: StageRun) -> StageRun:
    """The stage's run with its forward pass compiled, where that saves more time than it takes."""
    if not training.order.compiles or _memory.has_failed:
        return run
    size = training.preprocessing.size
    return with_compiled_forward(run, size, training.on_event) if _pays(run, size) else run


def _pays(run: StageRun, size: int) -> bool:
    # Above frozen blocks whose answers are kept, and in a head, steps are short already.
    runs_whole_network = run.forward is run.model and not run.stage.features_are_constant
    if run.device.type != "cuda" or not runs_whole_network:
        return False
    steps = (run.stage.epochs - run.place.epoch) * run.steps_per_epoch - run.place.step
    return steps * run.room.batch_size * (size / 224) ** 2 >= WORTH_IT


def with_compiled_forward(run: StageRun, size: int, on_event: OnEvent, *, backend: Compiler = "inductor") -> StageRun:
    """The run with its forward pass compiled; as it is where this machine can't.

    Gradients of a few empty images are computed on the way: only so is the way back compiled as
    well. Weights, statistics and random numbers are then as before.
    """
    on_event(PhaseStarted("compile", "Compiling the network for this machine, which takes a minute or two"))
    # What was compiled for a stage before is of no more use, and torch keeps no more than a few.
    torch._dynamo.reset()

    def forward(inputs: Tensor) -> Tensor:
        return run.forward(inputs)

    try:
        quick: Forward = torch.compile(forward, backend=backend)
        _try(run, quick, size)
    except Exception as error:  # a compiler may raise anything; there is the plain pass
        _give_up(error, on_event)
        return run
    return replace(run, forward=_UntilItFails(quick, run.forward, on_event))


def _try(run: StageRun, quick: Forward, size: int) -> None:
    def forward(inputs: Tensor) -> Tensor:
        # Last batches and halved micro-batches have other numbers of images: not to be compiled for anew.
        torch._dynamo.mark_dynamic(inputs, 0)
        return quick(inputs)

    trial = replace(run, forward=forward, room=MemoryLimits(_TRIED_WITH, run.device))
    inputs = torch.zeros(_TRIED_WITH, 3, size, size, device=run.device).contiguous(memory_format=torch.channels_last)
    with left_as_it_was(run.model, run.device):
        set_training_mode(run.model, run.stage)
        gradients(trial, inputs, torch.zeros(_TRIED_WITH, dtype=torch.int64, device=run.device))


@dataclass(slots=True)
class _UntilItFails:
    """The quick forward pass; from its first failure on the plain one."""

    quick: Forward
    plain: Forward
    on_event: OnEvent
    has_failed: bool = False

    def __call__(self, inputs: Tensor) -> Tensor:
        if not self.has_failed:
            try:
                return self.quick(inputs)
            except Exception as error:  # as above
                if is_out_of_memory(error):
                    raise
                self.has_failed = True
                _give_up(error, self.on_event)
        return self.plain(inputs)


def _give_up(error: Exception, on_event: OnEvent) -> None:
    _memory.has_failed = True
    reason = " ".join(str(error).split())[:_TOLD] or type(error).__name__
    on_event(PhaseStarted("runtime", f"The network is not compiled and trains as it is: {reason}"))


@dataclass
class _Memory:
    has_failed: bool = False


_memory = _Memory()
"""What failed once isn't tried again by this process: each try may take minutes."""
