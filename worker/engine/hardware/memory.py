"""How many images fit into memory at once: found by failing, and then kept.

Gradients of a batch that is too large are computed in parts, which add up to those of the
whole. What failed is freed only once its exception is gone: its traceback holds the
tensors (pytorch issue 18853). So every retry here lies behind the ``except``.
"""

import gc
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor

from backend.domain.events import Event, MicroBatchHalved, Note, NoteTopic, OnEvent
from worker.engine.errors import OutOfMemory
from worker.engine.hardware.devices import MAX_LOADER_PROCESSES
from worker.engine.hardware.gpu_processes import holders_of

EVALUATION_BATCH: Final = 32
NORM_WANTS: Final = 8
"""Batch norm that learns from fewer images at a time learns badly."""

HELD_BY_OTHERS: Final = 0.9
"""Share of a GPU's memory that others hold, from which on smaller parts wouldn't help."""
BLAMED: Final = 0.5
"""Share from which on others, and not the batch, are to make room."""
WORTH_NAMING: Final = 0.1
"""Share from which on others are named."""


def _silent(event: Event) -> None:
    pass


@dataclass(slots=True)
class MemoryLimits:
    """How many images are worked on at once in a training; halved where the memory is too small, and left so.

    Attributes:
        batch_size: images of a step, in however many parts.
        micro_batch: images of which gradients are computed at once.
        eval_batch_size: images that the network answers at once.
        loader_processes: at most so many processes prepare images, each with memory of its own.
        stage, epoch: where the training is; for reports.
    """

    batch_size: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    on_event: OnEvent = _silent
    micro_batch: int = 0
    eval_batch_size: int = EVALUATION_BATCH
    loader_processes: int = MAX_LOADER_PROCESSES
    stage: int = 0
    epoch: int = 0

    def __post_init__(self) -> None:
        self.micro_batch = self.micro_batch or self.batch_size

    def parts(self, images: int, fewest: int) -> int:
        """Into how many nearly equal parts so many images are cut; none has less than ``fewest`` of them."""
        return max(1, min(math.ceil(images / self.micro_batch), images // fewest))

    def halve(self, images: int, fewest: int) -> None:
        """Learn from fewer images at once, after so many were too many.

        Raises:
            OutOfMemory: fewer there can't be, or others hold the memory.
        """
        present = min(self.micro_batch, images)
        self._free(present, fewest)
        self.micro_batch = max(fewest, present // 2)
        self._tell(present)
        if fewest > 1 and self.micro_batch < NORM_WANTS:
            self.on_event(
                Note(
                    NoteTopic.MEMORY,
                    f"Batch norm now sees only {self.micro_batch} images at a time, which gives a worse model. "
                    "Use smaller images or a smaller architecture.",
                )
            )

    def answers(self, forward: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        """The network's answers to (N, ...) inputs, in parts that fit.

        Raises:
            OutOfMemory: not even one image fits.
        """
        while True:
            try:
                parts = [forward(part) for part in torch.split(inputs, self.eval_batch_size)]
                return parts[0] if len(parts) == 1 else torch.cat(parts)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            self.halve_eval_batch(len(inputs))

    def halve_eval_batch(self, images: int) -> None:
        """Ask about fewer images at once, after so many were too many.

        Raises:
            OutOfMemory: fewer there can't be, or others hold the memory.
        """
        present = min(self.eval_batch_size, images)
        self._free(present, 1)
        self.eval_batch_size = max(1, present // 2)
        text = f"Memory ran out while evaluating {present} images at once; now {self.eval_batch_size} at a time."
        self.on_event(Note(NoteTopic.MEMORY, text))

    def _free(self, present: int, fewest: int) -> None:
        gc.collect()
        free, total, own = memory_of(self.device)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if present <= fewest or others_hold(free, total, own):
            raise _refusal(present, self.device, free, total, own)

    def _tell(self, present: int) -> None:
        self.on_event(MicroBatchHalved(self.stage, self.epoch, self.micro_batch, self.batch_size))
        text = f"Memory ran out with {present} images at once; now {self.micro_batch} at a time."
        self.on_event(Note(NoteTopic.MEMORY, f"{text} The effective batch size stays {self.batch_size}."))


def refused_from_the_start(batch_size: int, device: torch.device) -> OutOfMemory:
    """The error where not even the network, or its first batch, fits into memory."""
    if device.type != "cuda":
        return OutOfMemory(batch_size)
    try:
        free, total, own = memory_of(device)
    except RuntimeError:  # not even room for the driver's own part of this process
        return OutOfMemory(batch_size, holders=holders_of(device), is_others=True)
    return _refusal(batch_size, device, free, total, own)


def _refusal(images: int, device: torch.device, free: int, total: int, own: int) -> OutOfMemory:
    """Names other programs only where what they hold is worth ending them."""
    others = total - free - own if device.type == "cuda" else 0
    return OutOfMemory(
        images,
        free_bytes=free,
        total_bytes=total,
        device=str(device),
        holders=holders_of(device) if others >= WORTH_NAMING * total else (),
        is_others=others >= BLAMED * total,
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory could not be allocated."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    # The processor's allocator and some GPU libraries have no error type of their own.
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _WORDS)


_WORDS: Final = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def memory_of(device: torch.device) -> tuple[int, int, int]:
    """Free bytes of the device, all of them, and those that this process holds (0 on a processor)."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return free, total, torch.cuda.memory_reserved(device)
    page = os.sysconf("SC_PAGE_SIZE")
    free_pages = os.sysconf("SC_AVPHYS_PAGES") if "SC_AVPHYS_PAGES" in os.sysconf_names else 0
    return page * free_pages, page * os.sysconf("SC_PHYS_PAGES"), 0


def others_hold(free: int, total: int, own: int) -> bool:
    """Whether other programs hold nearly all of a GPU's memory; False on a processor, which does not report it."""
    return own > 0 and total - free - own >= HELD_BY_OTHERS * total


class PartialUpdate(MemoryError):
    """Memory ran out while weights were being changed: some have taken the step and some haven't."""
