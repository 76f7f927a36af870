"""Where and in which number format a network runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import torch
from torch import nn

from backend.domain.training import Precision
from worker.engine.errors import DeviceUnavailable

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def known_devices() -> tuple[str, ...]:
    """Names of the devices in this machine, the one that ``auto`` takes first."""
    return (*(f"cuda:{index}" for index in range(torch.cuda.device_count())), "cpu")


def choose(name: str) -> torch.device:
    """The device of that name; ``auto`` is the first GPU, or the processor where there is none.

    Raises:
        DeviceUnavailable: this machine has no such device.
    """
    known = known_devices()
    wanted = {"auto": known[0], "cuda": "cuda:0"}.get(name, name)
    if wanted not in known:
        raise DeviceUnavailable(name, known)
    return torch.device(wanted)


def make_repeatable(device: torch.device) -> None:
    """Make equal orders give equal bits, where that costs nothing: on a processor."""
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True)
        # Filling fresh memory helps to find bugs and costs time in every layer.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a property


@contextmanager
def fewer_threads(device: torch.device, *, are_steps_small: bool) -> Iterator[None]:
    """Use half of the processors for small steps of the block, those of a head alone.

    All threads of a small step wait for the slowest several times in each millisecond. Where anything else computes on
    one of their processors, if only the answer to a page, each wait lasts until the system lets that thread run again:
    on two processors ten epochs took 2.9 s with one thread or two, and beside another process 2.8 and 8.7 s.
    """
    before = torch.get_num_threads()
    if are_steps_small and device.type == "cpu":
        torch.set_num_threads(max(1, before // 2))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def autocast_type(precision: Precision, device: torch.device) -> torch.dtype | None:
    """Number format of what is learnt from; None is float32, in which everything is judged."""
    if device.type == "cpu":
        return torch.bfloat16 if precision in _ROUGH_ON_CPU and has_bfloat16_units() else None
    match precision:
        case Precision.FLOAT32:
            return None
        case Precision.BFLOAT16:
            return torch.bfloat16
        case Precision.FLOAT16:
            return torch.float16
        case Precision.AUTO:
            return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16


_ROUGH_ON_CPU: Final = frozenset({Precision.AUTO, Precision.BFLOAT16})


def has_bfloat16_units() -> bool:
    """Whether the processor multiplies bfloat16 itself.

    Twice as fast as float32 (measured); where it doesn't, 450 times slower.
    """
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def to_device(model: ModuleT, device: torch.device) -> ModuleT:
    """The model on the device, channels last: 1.1 to 1.5 times faster on a processor, and what GPUs like."""
    # The stub of Module.to knows no memory format alone.
    return model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


MAX_LOADER_PROCESSES: Final = 4


def loader_processes(images: int, epochs: int, *, most: int = MAX_LOADER_PROCESSES) -> int:
    """How many processes prepare images beside the training; none where starting them costs more than they give."""
    if images * epochs < 4_000:
        return 0
    return min(most, os.cpu_count() or 1)
