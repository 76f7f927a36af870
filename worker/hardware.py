"""What this machine is: its name, its devices and their memory; found without torch."""

import fcntl
import os
import platform
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from backend.domain.ids import new_id
from backend.ledger.job import Memory
from backend.ledger.timers import Timers
from backend.settings import Settings
from worker.identity import WorkerIdentity
from worker.processors import processors

_NVIDIA: Final = Path("/proc/driver/nvidia/gpus")
_MEMINFO: Final = Path("/proc/meminfo")
_VMSTAT: Final = Path("/proc/vmstat")
_ASK: Final = ("nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits")
_ASK_TIMEOUT_S: Final = 10.0
_MIB: Final = 2**20

_locks: list[IO[str]] = []
"""Open files whose locks mark the GPUs that this process has taken; the locks end with the process, however it ends."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU that the driver knows. ``memory`` is None where it is unknown."""

    name: str
    memory: Memory | None = None


def new_identity(settings: Settings, timers: Timers | None = None) -> WorkerIdentity:
    """The identity of a worker that starts now."""
    worker_id = new_id()
    folder = settings.data / "run"
    folder.mkdir(parents=True, exist_ok=True)
    return WorkerIdentity(
        worker_id=worker_id,
        host=socket.gethostname(),
        device=_device(settings.device, worker_id, folder),
        drain_flag=str(folder / f"drain-{worker_id}"),
        timers=timers or Timers(),
    )


def device_name(device: str) -> str | None:
    """What the maker calls a card, such as ``NVIDIA A10``; None for a processor."""
    card = _card(device)
    return card.name if card else None


def memory_of(device: str) -> Memory | None:
    """How much memory a device has and how much of it is free; the machine's for a processor."""
    if device.startswith("cuda:"):
        card = _card(device)
        return card.memory if card else None
    try:
        return memory_in(_MEMINFO.read_text())
    except (OSError, KeyError, ValueError):
        return None


def out_of_memory_kills() -> int | None:
    """How many processes the system has killed since its start because memory ran out; None where it doesn't count."""
    try:
        lines = _VMSTAT.read_text().splitlines()
    except OSError:
        return None
    counts = (line.partition(" ")[2] for line in lines if line.startswith("oom_kill "))
    return next((int(count) for count in counts if count.isdigit()), None)


def memory_in(meminfo: str) -> Memory:
    """The machine's memory from the text of ``/proc/meminfo``; free is what programs could still get."""
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in meminfo.splitlines())}
    return Memory(kib["MemTotal"] * 1024, kib["MemAvailable"] * 1024)


def cards_in(answer: str) -> list[Gpu]:
    """The GPUs that ``nvidia-smi`` lists, one a line."""
    return [_card_of(line) for line in answer.splitlines() if line.strip()]


def visible(cards: Sequence[Gpu], only: str | None) -> list[Gpu]:
    """Those that programs may see, in the order in which they count them (``CUDA_VISIBLE_DEVICES``)."""
    if only is None:
        return list(cards)
    indices = [word.strip() for word in only.split(",")]
    if not all(index.isdigit() for index in indices):  # by name: which is which only the driver knows
        return list(cards)[: len([index for index in indices if index])]
    return [cards[int(index)] for index in indices if int(index) < len(cards)]


def _device(wanted: str, worker_id: str, folder: Path) -> str:
    """What only one training at a time may use. A processor is shared: each worker's name for it is its own."""
    if wanted == "auto" and (cards := _cards()):
        return _first_free(len(cards), folder)
    # The end of the id: its beginning is the time, which two workers may share.
    return wanted if wanted.startswith("cuda") else f"cpu:{worker_id[-12:]}"


def _first_free(cards: int, folder: Path) -> str:
    """The first card of this host that no other worker has; the first of all where all are taken: then both wait."""
    for index in range(cards):
        file = (folder / f"card-{socket.gethostname()}-{index}").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            continue
        _locks.append(file)
        return f"cuda:{index}"
    return "cuda:0"


def _card(device: str) -> Gpu | None:
    if not device.startswith("cuda:"):
        return None
    cards = _cards()
    index = int(device.removeprefix("cuda:"))
    return cards[index] if index < len(cards) else None


def _cards() -> list[Gpu]:
    """Cards that the driver lets us see, in its order."""
    return visible(_all_cards(), os.environ.get("CUDA_VISIBLE_DEVICES"))


def _all_cards() -> list[Gpu]:
    try:
        done = subprocess.run(_ASK, capture_output=True, text=True, check=True, timeout=_ASK_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError):
        # Without that program the driver's own files still list them.
        return [Gpu(_model(folder / "information")) for folder in sorted(_NVIDIA.glob("*"))]
    return cards_in(done.stdout)


def _card_of(line: str) -> Gpu:
    name, _, numbers = line.partition(",")
    try:
        total, free = (int(number) * _MIB for number in numbers.split(","))
    except ValueError:  # some GPUs share the machine's memory and report no number
        return Gpu(name.strip())
    return Gpu(name.strip(), Memory(total, free))


def _model(information: Path) -> str:
    try:
        lines = information.read_text().splitlines()
    except OSError:
        return "NVIDIA"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Model:")), "NVIDIA")


_CPUINFO: Final = Path("/proc/cpuinfo")


_LONGEST: Final = 200


def machine(device: str) -> str:
    """Kind of device, then its model: ``cpu: AMD EPYC, 2 cores``.

    Not the host's name, as a container has a new one each time.
    """
    if device.startswith("cuda"):
        return f"cuda: {device_name(device) or device}"[:_LONGEST]
    return f"cpu: {_processor()}, {processors()} cores"[:_LONGEST]


def _processor() -> str:
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
