"""The forward pass of a network that is trained, compiled where that pays: in long stages on a GPU.

Only what runs the steps is compiled; the network itself, its names and its states stay what they are.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor

from backend.domain.events import Note, NoteTopic, OnEvent, Phase, PhaseStarted
from worker.engine.hardware.memory import MemoryLimits, is_out_of_memory
from worker.engine.loop.context import CompileStatus, Training
from worker.engine.loop.lr_finder import restored_afterwards
from worker.engine.loop.run import Forward, StageRun
from worker.engine.loop.step import gradients
from worker.engine.network.optim import set_training_mode

WORTH_IT: Final = 600_000
"""Images of 224 pixels that a stage must still learn from.

Reckoned and not measured, as there was no GPU: a minute of compiling, a thousand images a second, a tenth of it saved.
"""

_TRIED_WITH: Final = 8
"""Images of the first try; one graph then serves any number from two on."""

_TOLD: Final = 200
"""Characters of a compiler's message that are reported: it may be pages long."""

Compiler = str | Callable[..., Any]
"""The name of one of torch's compilers, or what takes a graph and example inputs; Any: torch's own kinds."""


def compile_where_it_pays(training: Training, run: StageRun) -> None:
    """Compile the run's forward pass where that saves more time than it takes."""
    size = training.preprocessing.size
    if training.order.compiles and not training.compile_status.has_failed and _pays(run, size):
        compile_forward(run, size, training.on_event, status=training.compile_status)


def _pays(run: StageRun, size: int) -> bool:
    # Above frozen blocks whose answers are kept, and in a head, steps are short already.
    runs_whole_network = run.forward is run.model and not run.stage.features_are_constant
    # Layers that exchange numbers with other processes can't be compiled.
    if run.device.type != "cuda" or not runs_whole_network or run.ranks.size > 1:
        return False
    steps = (run.stage.epochs - run.cursor.epoch) * run.steps_per_epoch - run.cursor.step
    return steps * run.limits.batch_size * (size / 224) ** 2 >= WORTH_IT


def compile_forward(
    run: StageRun,
    size: int,
    on_event: OnEvent,
    *,
    status: CompileStatus,
    backend: Compiler = "inductor",
) -> None:
    """Compile the run's forward pass, or leave it as it is where this machine can't.

    Gradients of a few empty images are computed, so that the backward pass is compiled as well.
    Weights, statistics and random numbers are then as before.
    """
    on_event(PhaseStarted(Phase.COMPILE, "Compiling the network for this machine (one to two minutes)"))
    # What was compiled for an earlier stage is of no more use, and torch keeps only a few.
    torch._dynamo.reset()
    plain = run.forward

    def forward(inputs: Tensor) -> Tensor:
        return plain(inputs)

    try:
        quick: Forward = torch.compile(forward, backend=backend)
        _try(run, quick, size)
    except Exception as error:  # a compiler may raise anything; the plain pass remains
        _give_up(error, on_event, status)
        return
    run.forward = _UntilItFails(quick, plain, on_event, status)


def _try(run: StageRun, quick: Forward, size: int) -> None:
    def forward(inputs: Tensor) -> Tensor:
        # Last batches and halved micro-batches have other numbers of images: not to be compiled for anew.
        torch._dynamo.mark_dynamic(inputs, 0)
        return quick(inputs)

    trial = replace(run, forward=forward, limits=MemoryLimits(_TRIED_WITH, run.device))
    inputs = torch.zeros(_TRIED_WITH, 3, size, size, device=run.device).contiguous(memory_format=torch.channels_last)
    with restored_afterwards(run.model, run.device):
        set_training_mode(run.model, run.stage)
        gradients(trial, inputs, torch.zeros(_TRIED_WITH, dtype=torch.int64, device=run.device))


@dataclass(slots=True)
class _UntilItFails:
    """The compiled forward pass; from its first failure on the plain one."""

    quick: Forward
    plain: Forward
    on_event: OnEvent
    status: CompileStatus

    def __call__(self, inputs: Tensor) -> Tensor:
        if not self.status.has_failed:
            try:
                return self.quick(inputs)
            except Exception as error:  # as above
                if is_out_of_memory(error):
                    raise
                _give_up(error, self.on_event, self.status)
        return self.plain(inputs)


def _give_up(error: Exception, on_event: OnEvent, status: CompileStatus) -> None:
    status.has_failed = True
    reason = " ".join(str(error).split())[:_TOLD] or type(error).__name__
    on_event(Note(NoteTopic.RUNTIME, f"Compiling the network failed; training continues without it: {reason}"))
