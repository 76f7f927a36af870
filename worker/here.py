"""What this machine is: its name, its device; found without torch."""

import socket
from pathlib import Path
from typing import Final

from backend.domain.ids import new_id
from backend.ledger.timers import Timers
from backend.settings import Settings
from worker.post import Post

_NVIDIA: Final = Path("/proc/driver/nvidia/gpus")


def new_post(settings: Settings, timers: Timers | None = None) -> Post:
    """The place of a worker that starts now."""
    worker_id = new_id()
    folder = settings.data / "run"
    folder.mkdir(parents=True, exist_ok=True)
    return Post(
        worker_id=worker_id,
        host=socket.gethostname(),
        device=_device(settings.device, worker_id),
        drain_flag=str(folder / f"drain-{worker_id}"),
        timers=timers or Timers(),
    )


def device_name(device: str) -> str | None:
    """What the maker calls a card, such as ``NVIDIA A10``; None for a processor."""
    if not device.startswith("cuda:"):
        return None
    cards = _cards()
    place = int(device.removeprefix("cuda:"))
    return cards[place] if place < len(cards) else None


def _device(wanted: str, worker_id: str) -> str:
    """What only one training at a time may use. A processor is shared: each worker has a place of its own on it."""
    if wanted == "auto":
        wanted = "cuda:0" if _cards() else "cpu"
    # The end of the id: its beginning is the time, which two workers may share.
    return wanted if wanted.startswith("cuda") else f"cpu:{worker_id[-12:]}"


def _cards() -> list[str]:
    """Names of the cards that the driver knows."""
    if not _NVIDIA.is_dir():
        return []
    return [_model(folder / "information") for folder in sorted(_NVIDIA.iterdir())]


def _model(information: Path) -> str:
    try:
        lines = information.read_text().splitlines()
    except OSError:
        return "NVIDIA"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Model:")), "NVIDIA")
