"""What each measured process says of itself.

Nothing but the standard library: fastai's process has another interpreter than ours.
"""

import importlib.metadata
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any, Final

from backend.domain.json import Json

_KIBIBYTE: Final = 1024
_PACKAGES: Final = ("torch", "torchvision", "timm", "fastai", "openvino", "onnxruntime", "numpy", "pillow")


def peak_memory() -> int:
    """Bytes of memory that this process held at most, and the largest of its children on top."""
    parts = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(parts) * (1 if sys.platform == "darwin" else _KIBIBYTE)


def versions() -> dict[str, str]:
    """Installed versions of the packages that decide speed and error."""
    found = {"python": ".".join(str(part) for part in sys.version_info[:3])}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def load_average() -> float:
    """Processes that wanted a processor, averaged over the last minute."""
    return round(os.getloadavg()[0], 2)


def read(file: Path) -> Json:
    """A JSON file's content."""
    return json.loads(file.read_text("utf-8"))


def write(file: Path, content: Any) -> None:  # Any: as above
    """Write a JSON file, so that a kill leaves the old content or the new."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    partial.replace(file)
